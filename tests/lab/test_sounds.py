"""WAV files of the usual rates become µ-law that sounds the same."""

from __future__ import annotations

import wave
from array import array
from pathlib import Path

import pytest

from config.demo.sounds import RATE, BadSound, playable, read_wav, tone, ulaw, write_wav
from tests.stories.test_pbx_call import strength

# Decision values and codes from ITU-T G.711 table 2a/2b, at 16 bits.
CODES = {0: 0xFF, -1: 0x7F, 8: 0xFE, 32635: 0x80, 32767: 0x80, -32768: 0x00, 132: 0xEF, 1000: 0xCE, -1000: 0x4E}


def decoded(codes: bytes) -> array[int]:
    """G.711 µ-law to 16 bits, written down independently of the encoder."""
    out = array("h")
    for code in codes:
        inverted = ~code & 0xFF
        value = (((inverted & 0x0F) << 3) + 0x84 << ((inverted >> 4) & 7)) - 0x84
        out.append(-value if inverted & 0x80 else value)
    return out


@pytest.mark.parametrize(("sample", "code"), CODES.items())
def test_known_codes(sample: int, code: int) -> None:
    assert ulaw(array("h", [sample]))[0] == code


def test_every_sample_comes_back_within_its_step() -> None:
    samples = array("h", range(-32768, 32768, 7))
    for before, after in zip(samples, decoded(ulaw(samples)), strict=True):
        assert abs(min(abs(before), 32635) - abs(after)) <= max(8, abs(before) >> 4)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 6000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_both_channels(tmp_path: Path, rate: int, channels: int) -> None:
    mono = tone(440 * RATE / rate, rate / RATE)  # one second of 440 Hz once it is read at `rate`
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(array("h", [s for sample in mono for s in [sample] * channels]).tobytes())
    read = read_wav(path)
    assert abs(len(read) - RATE) <= 1
    assert strength(read, 440) > 0.97


def test_a_file_is_converted_once(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "a.wav", tone(440, 1))
    first = playable(wav, tmp_path / "made")
    stamp = first.stat().st_mtime_ns
    assert playable(wav, tmp_path / "made") == first and first.stat().st_mtime_ns == stamp
    assert first.stat().st_size % 160 == 0


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF but not quite")
    with pytest.raises(BadSound):
        read_wav(tmp_path / "a.wav")
