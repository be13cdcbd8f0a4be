"""Processes beside the one that measures: started with one JSON object, asked and answered in JSON lines, gone when their input ends.

Also what `/proc` tells of a process: how much of a core it used and how much memory is its own. Knows nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

TICKS: Final = os.sysconf("SC_CLK_TCK")
_LINE_LIMIT: Final = 256 * 1024 * 1024


class HelperFailed(Exception):
    """A process beside us ended or did not answer; the text says which."""


class Helper:
    """One process beside us. Its module reads JSON lines and answers each with one."""

    MODULE: ClassVar[str]

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, **settings: Any) -> Self:
        """Start it; the settings go in as its first line where there are any."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", cls.MODULE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE_LIMIT
        )
        made = cls(process)
        if settings:
            made._write(settings)
        return made

    async def ask(self, within: float = 120.0, **what: Any) -> dict[str, Any]:
        """Send a line and wait for the answer."""
        self._write(what)
        return await self.hear(within)

    async def hear(self, within: float = 120.0) -> dict[str, Any]:
        """Wait for the next line."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), within)
        except TimeoutError as late:
            raise HelperFailed(f"{self.MODULE} did not answer within {within:g} s.") from late
        if not line:
            raise HelperFailed(f"{self.MODULE} has ended.")
        return dict(json.loads(line))

    async def stop(self) -> None:
        """Close its input, and make sure that it ends."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _write(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")


def say(**what: Any) -> None:
    """In a helper: answer with one line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def settings_line() -> dict[str, Any]:
    """In a helper: what it was started with."""
    return dict(json.loads(sys.stdin.readline()))


async def asked() -> asyncio.StreamReader:
    """In a helper with a loop: standard input, line by line."""
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def allow_many_files() -> None:
    """Let this process and those it starts hold thousands of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 16_384:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65_536, hard))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of one process, in MB: all it has in memory, its fair share of that, and of the share what is its own and what is files'."""

    rss_mb: float
    pss_mb: float
    own_mb: float
    files_mb: float


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def waited_s(pid: int) -> float:
    """Seconds that a process's first thread was ready to run and had no core."""
    return int((Path("/proc") / str(pid) / "schedstat").read_text().split()[1]) / 1e9


def memory_of(pid: int) -> Memory:
    """How much memory a process has."""
    told = {
        line.split(":")[0]: float(line.split()[1]) / 1024
        for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    }
    return Memory(rss_mb=told["Rss"], pss_mb=told["Pss"], own_mb=told["Pss_Anon"], files_mb=told["Pss_File"])


def children(pid: int) -> list[int]:
    """The processes that a process started itself."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found


def steal_ticks() -> tuple[int, int]:
    """Ticks of the machine so far: taken away by its host, and all."""
    words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return words[7], sum(words)
