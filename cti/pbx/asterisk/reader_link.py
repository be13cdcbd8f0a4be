"""The main program's end of the reader: find the one that runs or start one, and hear how far the journal has grown.

Says nothing about what is in the journal, except for bytes that no disk would take, which come over the socket itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from cti.pbx.asterisk.reader import PROTOCOL, SOCKET_NAME, ReaderSettings, socket_address

log = structlog.get_logger(__name__)
START_S: Final = 10.0
STOP_S: Final = 3.0
_LINE_LIMIT: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """How the reader stood when we came: its process, the link, and the end of the journal at that moment.

    `hole_since`: since then (Unix seconds) no disk takes what comes, so that the journal lacks it. None where all is there.
    """

    pid: int
    up: bool
    epoch: str
    position: str
    why: str
    hole_since: float | None = None


class ReaderLost(Exception):
    """The reader is gone or could not be started; the text says why in one sentence."""


class ReaderLink:
    """A connection to the reader of one journal. Adopts a reader that runs; starts one otherwise."""

    def __init__(self, settings: ReaderSettings) -> None:
        self._settings = settings
        self._folder = Path(settings.folder)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> Hello:
        """Connect, starting a reader if there is none. Raises ReaderLost."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not await self._connect():
            await self._start()
        hello = await self._greeting()
        if hello is None:  # one that speaks another protocol: of an older edition of ours
            await self.stop()
            await self._start()
            hello = await self._greeting()
        if hello is None:
            raise ReaderLost("The reader of the PBX's events speaks a protocol of another edition.")
        return hello

    async def next(self) -> tuple[str, bytes]:
        """Wait for news: the position up to which the journal has grown, or ("", bytes) that are in no journal."""
        reader, position = self._reader, ""
        while True:
            line = b""
            if reader is not None:
                with contextlib.suppress(ConnectionError):  # it died with a word of ours unread
                    line = await reader.readline()
            if reader is None or not line:
                raise ReaderLost("The reader of the PBX's events has ended.")
            word, _, rest = line.decode().rstrip("\n").partition(" ")
            if word == "at":
                position = rest
                if not self._more():
                    return position, b""
            elif word == "raw":
                return "", await reader.readexactly(int(rest))
            elif word == "warn":
                log.warning("the journal of the PBX's events is in trouble", folder=str(self._folder), why=rest)
                if position:
                    return position, b""

    async def stop(self) -> None:
        """Tell the reader to end, and wait until it has."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.write(b"stop\n")
                await self._writer.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    while (self._folder / SOCKET_NAME).exists():  # noqa: ASYNC110  # another process takes it away
                        await asyncio.sleep(0.01)
        await self.leave()
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()

    async def ask_for_a_word(self) -> None:
        """Let the PBX say something at once, so that it is known up to when it was heard."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.write(b"word\n")
                await self._writer.drain()

    async def leave(self) -> None:
        """Hear no more, and let the reader run."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _more(self) -> bool:
        """Another line is already here, so that only the last of many nudges is acted upon."""
        buffered = getattr(self._reader, "_buffer", b"")
        return b"\nat " in b"\n" + bytes(buffered[:4096]) and buffered.endswith(b"\n")

    async def _connect(self) -> bool:
        address, directory = socket_address(self._folder)
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(address, limit=_LINE_LIMIT)
        except OSError:
            return False
        finally:
            os.close(directory)
        return True

    async def _start(self) -> None:
        """Start a reader in a session of its own, so that it outlives us, and wait for its socket."""
        errors = os.open(self._folder / "reader.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "cti.pbx.asterisk.reader",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        finally:
            os.close(errors)
        assert self._process.stdin is not None
        self._process.stdin.write(self._settings.to_json() + b"\n")
        with contextlib.suppress(OSError):
            await self._process.stdin.drain()
        self._process.stdin.close()
        deadline = asyncio.get_running_loop().time() + START_S
        while not await self._connect():
            if asyncio.get_running_loop().time() > deadline:
                raise ReaderLost("The reader of the PBX's events did not start.")
            await asyncio.sleep(0.02)

    async def _greeting(self) -> Hello | None:
        assert self._reader is not None
        words = (await self._reader.readline()).decode().rstrip("\n").split(" ", 7)
        if len(words) != 8 or words[0] != "hello" or words[1] != str(PROTOCOL):
            return None
        epoch = "" if words[4] == "-" else words[4]
        hole = None if words[6] == "-" else float(words[6])
        return Hello(pid=int(words[2]), up=words[3] == "up", epoch=epoch, position=words[5], why=words[7], hole_since=hole)
