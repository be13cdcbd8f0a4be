"""What the PBX said, kept on disk byte by byte before anybody looks at it.

One folder per PBX, files of an hour or FILE_LIMIT bytes whose names sort by time, mode 0600. Only whole messages are written, so a
position (`name:offset`) always lies between two of them. `Writer` belongs to the reader process alone; `Tail` follows the files
from any other process, with no word between the two but the files themselves. What the bytes mean is not known here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

FILE_LIMIT: Final = 64 * 1024 * 1024
FILE_SPAN_S: Final = 3600.0
RESERVE_BYTES: Final = 8 * 1024 * 1024
SUFFIX: Final = ".ami"
_RESERVE_NAME: Final = "reserve"
_ROOM_AGAIN: Final = 4  # times the reserve must be free before it is taken again
_CHUNK: Final = 64 * 1024  # what is read at once: whoever reads much comes to breathe after each
_AHEAD: Final = 4096  # bytes that may have been written since the writer told how far it is
_DAY_S: Final = 86_400.0


class JournalFull(OSError):
    """No space is left, and the reserve is used up: these bytes are on no disk."""


def files(folder: Path) -> list[str]:
    """The names of the journal's files, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(SUFFIX))
    return []


def place(name: str, offset: int) -> str:
    """A position, written so that positions sort as texts in the order of the journal."""
    return f"{name}:{offset:012d}"


class Writer:
    """Appends to the journal. `warn` gets a sentence when space runs out and when it is there again."""

    def __init__(
        self,
        folder: Path,
        warn: Callable[[str], None],
        *,
        keep_days: float = 7.0,
        file_limit: int = FILE_LIMIT,
        reserve: int = RESERVE_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._warn, self._clock = folder, warn, clock
        self._keep_days, self._file_limit, self._reserve = keep_days, file_limit, reserve
        self._file = -1
        self._name = ""
        self._size = 0
        self._opened_at = 0.0
        self._full = False
        self._hold_reserve()
        self._next_file()

    @property
    def position(self) -> str:
        """Where the next message will be written."""
        return place(self._name, self._size)

    def write(self, data: bytes) -> None:
        """Append whole messages. Raises JournalFull if they could not be kept; the file then ends where it ended before."""
        if self._size >= self._file_limit or not 0.0 <= self._clock() - self._opened_at < FILE_SPAN_S:
            self._next_file()
        try:
            self._append(data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            self._write_from_reserve(data)
            return
        if self._full and shutil.disk_usage(self._folder).free > _ROOM_AGAIN * self._reserve:
            self._full = False
            self._hold_reserve()
            self._warn("There is space for the journal again.")

    def close(self) -> None:
        """Write no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:] if done else data)
        except OSError:
            if done:
                os.ftruncate(self._file, self._size)
            raise
        self._size += done

    def _write_from_reserve(self, data: bytes) -> None:
        reserve = self._folder / _RESERVE_NAME
        if reserve.exists():
            reserve.unlink()
            self._warn("The disk of the journal is full; its reserve is being used.")
            with contextlib.suppress(OSError):
                self._append(data)
                self._full = True
                return
        if not self._full:
            self._warn("The disk of the journal is full.")
        self._full = True
        raise JournalFull(errno.ENOSPC, "the journal is full")

    def _hold_reserve(self) -> None:
        """Keep some space taken, to be let go of when there is no other."""
        path = self._folder / _RESERVE_NAME
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(file, 0, self._reserve)
            finally:
                os.close(file)
        except OSError:
            path.unlink(missing_ok=True)
            self._warn("There is no space for the journal's reserve.")

    def _next_file(self) -> None:
        self.close()
        now = self._clock()
        last = files(self._folder)[-1:]
        serial = int(last[0].partition("-")[0]) + 1 if last else 1
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
        # The serial comes first, since a clock may be set back and the order of writing must not change.
        self._name = f"{serial:09d}-{stamp}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(self._folder / self._name, flags, 0o600)
        self._size, self._opened_at = 0, now
        self._prune(now)

    def _prune(self, now: float) -> None:
        for name in files(self._folder)[:-1]:
            path = self._folder / name
            with contextlib.suppress(FileNotFoundError):
                if now - path.stat().st_mtime > self._keep_days * _DAY_S:
                    path.unlink()


class Tail:
    """Reads the journal on from a position, file after file, up to what is written now. "" begins with the oldest file."""

    def __init__(self, folder: Path, position: str = "") -> None:
        self._folder = folder
        name, _, offset = position.rpartition(":")
        self._name = name
        self._offset = int(offset) if name else 0
        self._file = -1

    @property
    def position(self) -> str:
        """Up to where it has been read."""
        return place(self._name, self._offset) if self._name else ""

    def read(self, latest: str = "", *, only: bool = False) -> Iterator[tuple[bytes, str]]:
        """What is there and was not read yet, in pieces, each with the position after it. Ends when nothing is left.

        `latest` is a position the writer told of, if any: while it is in the present file, no other need be looked for.
        With `only`, reading ends there, even if more has been written since.
        """
        last, _, end = latest.rpartition(":")
        while True:
            if self._file < 0 and not self._open():
                return
            if self._name == last:
                yield from self._read_last(int(end), 0 if only else _AHEAD)
                return
            following = self._following()
            while data := os.pread(self._file, _CHUNK, self._offset):
                self._offset += len(data)
                yield data, self.position
            if following is None:
                return
            self._close()
            self._name, self._offset = following, 0

    def _read_last(self, end: int, ahead: int) -> Iterator[tuple[bytes, str]]:
        """The file that is being written: as much as is there, or up to `end` where nothing is read `ahead`. Most often one read does."""
        while (size := max(min(_CHUNK, end + ahead - self._offset), ahead)) > 0:
            data = os.pread(self._file, size, self._offset)
            if data:
                self._offset += len(data)
                yield data, self.position
            if len(data) < size:
                return

    def seek(self, position: str) -> None:
        """Go on from another position."""
        self._close()
        name, _, offset = position.rpartition(":")
        self._name, self._offset = name, int(offset) if name else 0

    def close(self) -> None:
        """Let go of the file."""
        self._close()

    def _following(self) -> str | None:
        """The file after the present one; looked for before the present one is read to its end, so that nothing is skipped."""
        return next((name for name in files(self._folder) if name > self._name), None)

    def _open(self) -> bool:
        """Open the present file, or the oldest after it if it is gone by age."""
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                if self._name:
                    self._file = os.open(self._folder / self._name, os.O_RDONLY)
                    return True
            following = self._following()
            if following is None:
                return False
            self._name, self._offset = following, 0
        return False

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
