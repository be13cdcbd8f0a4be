"""Sound for the people at the demo's telephones: WAV files made into headerless G.711 µ-law, and plain tones.

Pure Python, because the standard library lost its converter with 3.13 and the demo must not need a numeric package. Good enough
for speech at 8 kHz; it is no general resampler (what lies above 4 kHz is only damped by averaging).
"""

from __future__ import annotations

import hashlib
import math
import sys
import wave
from array import array
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Final

from crm_core.kernel.sentence import Trouble

RATE: Final = 8000
SILENCE: Final = 0xFF


class BadSound(Trouble, ValueError):
    """The file is no sound we can send; the sentence says what would be."""


@lru_cache(maxsize=1)
def _table() -> bytes:
    """µ-law codes (ITU-T G.711) of all 16-bit samples, index = sample + 32768."""
    return bytes(_encoded(sample) for sample in range(-32768, 32768))


def _encoded(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 132
    segment = magnitude.bit_length() - 8
    return ~(sign | segment << 4 | (magnitude >> (segment + 3)) & 0x0F) & 0xFF


def ulaw(samples: array[int]) -> bytes:
    """Sixteen-bit samples as µ-law, one byte each."""
    table = _table()
    return bytes(table[sample + 32768] for sample in samples)


def read_wav(path: Path) -> array[int]:
    """The samples of a 16-bit PCM WAV of any rate, brought to one channel at 8 kHz; BadSound if it is something else."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise BadSound("{file} can't be read as a WAV file ({why}).", file=path.name, why=error) from error
    if width != 2 or rate < 1000:
        raise BadSound("{file} has {n} bits at {rate} Hz: save it as 16-bit PCM WAV.", file=path.name, n=8 * width, rate=rate)
    samples = array("h", data[: len(data) // (2 * channels) * 2 * channels])
    if sys.byteorder == "big":
        samples.byteswap()
    return _at_our_rate(_one_channel(samples, channels), rate)


def _one_channel(samples: array[int], channels: int) -> array[int]:
    if channels == 1:
        return samples
    parts = [samples[channel::channels] for channel in range(channels)]
    return array("h", (sum(frame) // channels for frame in zip(*parts, strict=True)))


def _at_our_rate(samples: array[int], rate: int) -> array[int]:
    """Each new sample is the mean of the old ones in its time; at lower rates the old one is repeated."""
    if rate == RATE or not samples:
        return samples
    sums = [0, *accumulate(samples)]
    made = array("h")
    for index in range(len(samples) * RATE // rate):
        first = index * rate // RATE
        last = max(first + 1, (index + 1) * rate // RATE)
        made.append((sums[last] - sums[first]) // (last - first))
    return made


def tone(hertz: float, seconds: float, level_db: float = -14.0) -> array[int]:
    """A sine at `level_db` below full scale (its peak)."""
    peak = 32767 * 10 ** (level_db / 20)
    step = 2 * math.pi * hertz / RATE
    return array("h", (round(peak * math.sin(step * index)) for index in range(round(seconds * RATE))))


def write_wav(path: Path, samples: array[int]) -> Path:
    """Write 8 kHz mono samples as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return path


def playable(wav: Path, folder: Path) -> Path:
    """The µ-law file for `wav` in `folder`, made there unless it is there already; whole 20 ms packets and 0.4 s of silence."""
    mark = hashlib.sha256(wav.read_bytes()).hexdigest()[:24]
    made = folder / f"{mark}.ul"
    if not made.exists():
        data = ulaw(read_wav(wav)) + bytes([SILENCE]) * 3200
        data += bytes([SILENCE]) * (-len(data) % 160)
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{mark}.{id(data)}.new"
        fresh.write_bytes(data)
        fresh.replace(made)
    return made
