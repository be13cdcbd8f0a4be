"""The process that hears Asterisk: it holds the events connection and waits for nothing else.

Whatever comes is appended to the journal first; then whoever listens on the Unix socket is told how far the journal has grown, if
the socket takes it without waiting. It lives apart from the main program, so that nothing there can make it slow: Asterisk cuts
a reader that stalls. When the main program dies, it goes on for ORPHAN_S and can be found again by its socket.

    python -m cti.pbx.asterisk.reader          settings as one JSON object on standard input, the secret among them

Lines to listeners: `hello 2 PID UP EPOCH POSITION HOLE WHY` (HOLE: since when no disk takes what comes, or -), `at POSITION`,
`warn SENTENCE`, and while no disk takes it `raw LENGTH` followed by the bytes. Lines from listeners: `stop`, `word` (let the PBX say
something now). Files in the journal's folder: `reader.sock`, `reader.lock`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cti.pbx.asterisk.ami_wire import link_block
from cti.pbx.asterisk.event_link import EventLink
from cti.pbx.asterisk.journal import JournalFull, Writer

PROTOCOL: Final = 2
SOCKET_NAME: Final = "reader.sock"
LOCK_NAME: Final = "reader.lock"
ALREADY_RUNNING: Final = 3
_TICK_S: Final = 0.25
_BACKLOG: Final = 8 * 1024 * 1024  # of bytes no disk takes, for one listener


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """Where Asterisk is and where its words are kept. `orphan_s`: how long to go on with nobody listening."""

    host: str
    port: int
    user: str
    secret: str
    folder: str
    keep_days: float = 7.0
    orphan_s: float = 600.0

    def to_json(self) -> bytes:
        """As the reader takes it on its standard input."""
        return json.dumps(asdict(self)).encode()


def socket_address(folder: Path) -> tuple[str, int]:
    """An address for the reader's socket that is short enough whatever the folder's path; the descriptor is to be closed after use."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return f"/proc/self/fd/{directory}/{SOCKET_NAME}", directory


class Reader:
    """The loop: one Asterisk, one journal, any number of listeners."""

    def __init__(self, settings: ReaderSettings) -> None:
        self._settings = settings
        self._selector = selectors.DefaultSelector()
        self._listeners: dict[socket.socket, bytearray] = {}
        self._why = ""
        self._epoch = ""
        self._hole_since: float | None = None  # what came from then on is in no journal
        self._journal = Writer(Path(settings.folder), self._warn, keep_days=settings.keep_days)
        self._link = EventLink(settings.host, settings.port, settings.user, settings.secret)
        self._server = self._listen()
        self._alone_since = time.monotonic()
        self._stop = False

    def run(self) -> None:
        """Go on until told to stop, or left alone for too long."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "_stop", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while not self._stop:
            self._turn()
        self._link.close()
        self._keep(link_block(up=False, at=time.time(), why="The reader was stopped."))
        self._journal.close()
        for listener in list(self._listeners):
            self._drop(listener)
        with contextlib.suppress(FileNotFoundError):
            (Path(self._settings.folder) / SOCKET_NAME).unlink()

    def _turn(self) -> None:
        self._watch_link()
        for key, _ in self._selector.select(self._link.patience(_TICK_S)):
            if key.fileobj is self._server:
                self._welcome()
            elif key.data == "listener":
                self._hear(key.fileobj)  # type: ignore[arg-type]  # registered by us
        self._take_from_link()
        if self._listeners:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > self._settings.orphan_s:
            self._stop = True

    # ------------------------------------------------------------------------------------------------------- Asterisk

    def _watch_link(self) -> None:
        """Let the selector wake us for the link's socket, whichever it is now."""
        wanted = self._link.socket
        known = next((key.fileobj for key in self._selector.get_map().values() if key.data == "link"), None)
        if known is not None and known is not wanted:
            self._selector.unregister(known)
        if wanted is not None and known is not wanted:
            self._selector.register(wanted, selectors.EVENT_READ, "link")

    def _take_from_link(self) -> None:
        before = self._link.socket
        heard = self._link.turn(time.monotonic())
        if before is not None and self._link.socket is not before:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(before)
        if self._link.up and self._link.epoch != self._epoch:
            self._epoch, self._why = self._link.epoch, ""
            self._keep(link_block(up=True, at=time.time(), epoch=self._epoch))
        if heard:
            self._keep(heard)
        if not self._link.up and self._link.why != self._why:
            self._epoch, self._why = "", self._link.why
            self._keep(link_block(up=False, at=time.time(), why=self._why))

    def _keep(self, data: bytes) -> None:
        try:
            self._journal.write(self._end_of_hole() + data)
        except JournalFull:
            self._hole_since = self._hole_since or time.time()
            self._tell(f"raw {len(data)}\n".encode() + data, must=True)
            return
        self._hole_since = None
        self._tell(f"at {self._journal.position}\n".encode())

    def _end_of_hole(self) -> bytes:
        """What the journal says where no disk took what came: as if the link had been away, so that the books are asked whenever it is read."""
        if self._hole_since is None:
            return b""
        down = link_block(up=False, at=self._hole_since, why="No disk took what the PBX said.")
        return down + (link_block(up=True, at=time.time(), epoch=self._epoch) if self._epoch else b"")

    # ------------------------------------------------------------------------------------------------------ listeners

    def _listen(self) -> socket.socket:
        address, directory = socket_address(Path(self._settings.folder))
        with contextlib.suppress(FileNotFoundError):
            (Path(self._settings.folder) / SOCKET_NAME).unlink()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            server.bind(address)
        finally:
            os.umask(old)
            os.close(directory)
        server.listen(8)
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, "server")
        return server

    def _welcome(self) -> None:
        listener, _ = self._server.accept()
        listener.setblocking(False)
        self._listeners[listener] = bytearray()
        self._selector.register(listener, selectors.EVENT_READ, "listener")
        up = "up" if self._epoch else "down"
        hole = "-" if self._hole_since is None else f"{self._hole_since:.6f}"
        self._send(
            listener,
            f"hello {PROTOCOL} {os.getpid()} {up} {self._epoch or '-'} {self._journal.position} {hole} {self._why}\n".encode(),
            must=True,
        )

    def _hear(self, listener: socket.socket) -> None:
        try:
            said = listener.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._drop(listener)
        elif b"stop\n" in said:
            self._stop = True
        elif b"word\n" in said:
            self._link.ask_for_a_word()

    def _tell(self, line: bytes, *, must: bool = False) -> None:
        for listener in list(self._listeners):
            self._send(listener, line, must=must)

    def _send(self, listener: socket.socket, line: bytes, *, must: bool = False) -> None:
        """Send what fits. A nudge that doesn't fit is dropped, as the next one says more; what must go is kept for later."""
        waiting = self._listeners.get(listener)
        if waiting is None:
            return
        if must or not waiting:
            waiting += line
        try:
            sent = listener.send(waiting)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(listener)
            return
        if sent == 0 and not must and len(waiting) == len(line):
            waiting.clear()
        del waiting[:sent]
        if len(waiting) > _BACKLOG:
            self._drop(listener)

    def _drop(self, listener: socket.socket) -> None:
        if self._listeners.pop(listener, None) is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(listener)
            listener.close()

    def _warn(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)
        for listener in list(getattr(self, "_listeners", {})):
            self._send(listener, f"warn {sentence}\n".encode(), must=True)


def main() -> int:
    """Read the settings, make sure to be the only reader of this journal, and go."""
    settings = ReaderSettings(**json.loads(sys.stdin.buffer.readline()))
    folder = Path(settings.folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_RUNNING
    Reader(settings).run()
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
