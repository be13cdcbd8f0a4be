"""Sound files: the PBX's raw two-channel stream becomes a WAV with a header; peaks for the player are read from it.

The raw stream is s16le, 8 kHz, interleaved: left from the outside party, right towards it. Everything here blocks on the disk and
is called from a worker thread.
"""

from __future__ import annotations

import array
import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

RATE = 8000
CHANNELS = 2
FRAME = 2 * CHANNELS
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished file."""

    bytes: int
    sha256: str
    duration_s: float


class NoSound(Exception):
    """The file holds no sound, or can't be read; `str()` says why."""


def wav_header(data_bytes: int) -> bytes:
    """The 44 bytes before the samples (RIFF, PCM, 2 channels, 8 kHz, 16 bit)."""
    size = min(data_bytes, 0xFFFFFFFF - 36)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, CHANNELS, RATE, RATE * FRAME, FRAME, 16, b"data", size
    )


def store_raw(raw: Path, target: Path) -> Stored:
    """Write `raw` as a WAV to `target`: beside it first, flushed to the disk, then renamed. Raises NoSound, OSError.

    An older PBX writes two files of one side each, `<name>-1.raw` and `<name>-2.raw`; they are joined first.
    """
    if not raw.is_file():
        join_sides(raw)
    length = raw.stat().st_size // FRAME * FRAME
    if length == 0:
        raise NoSound("the PBX's file is empty")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_suffix(".part")
    digest = hashlib.sha256()
    try:
        with raw.open("rb") as source, part.open("wb") as sink:
            os.fchmod(sink.fileno(), 0o600)
            for piece in _pieces(wav_header(length), source, length):
                digest.update(piece)
                sink.write(piece)
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return Stored(length + 44, digest.hexdigest(), length / FRAME / RATE)


def sides_of(raw: Path) -> tuple[Path, Path]:
    """Where an older PBX writes the two sides of `raw`."""
    return raw.with_name(f"{raw.stem}-1{raw.suffix}"), raw.with_name(f"{raw.stem}-2{raw.suffix}")


def join_sides(raw: Path) -> None:
    """Make the two-channel file out of two files of one side each. The longer one counts, the other is silent there."""
    left, right = sides_of(raw)
    if not (left.is_file() and right.is_file()):
        raise NoSound("the PBX wrote no file")
    part = raw.with_suffix(".joining")
    with left.open("rb") as one, right.open("rb") as two, part.open("wb") as both:
        while (a := one.read(CHUNK)) or (b := two.read(CHUNK)):
            b = two.read(CHUNK) if a else b
            samples = max(len(a), len(b)) // 2
            mixed = array.array("h", bytes(samples * 4))
            for offset, side in ((0, a), (1, b)):
                mono = array.array("h", side[: len(side) // 2 * 2])
                mixed[offset : 2 * len(mono) : 2] = mono
            mixed.tofile(both)
    part.replace(raw)


def _pieces(header: bytes, source: BinaryIO, length: int) -> Iterator[bytes]:
    yield header
    left = length
    while left > 0:
        piece = source.read(min(CHUNK, left))
        if not piece:
            return
        left -= len(piece)
        yield piece


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peaks(path: Path, per_second: int = 20) -> dict[str, object]:
    """The loudest sample of each slice, 0 to 1, for both sides."""
    step = RATE // per_second * CHANNELS
    left: list[float] = []
    right: list[float] = []
    with path.open("rb") as file:
        file.seek(44)
        while chunk := file.read(step * 2 * 512):
            samples = array.array("h")
            samples.frombytes(chunk[: len(chunk) // 2 * 2])
            if sys.byteorder == "big":
                samples.byteswap()
            for start in range(0, len(samples), step):
                left.append(_peak(samples[start : start + step : 2]))
                right.append(_peak(samples[start + 1 : start + step : 2]))
    return {"rate": per_second, "left": left, "right": right}


def _peak(samples: array.array[int]) -> float:
    return round(max(max(samples), -min(samples)) / 32768, 3) if samples else 0.0
