"""A caller comes over the trunk, a queue offers the call, a phone takes it: heard in the recording, kept private on the wire."""

from __future__ import annotations

import asyncio
import math
from array import array
from pathlib import Path

import pytest

from config.demo.callers import Caller
from config.demo.phones import Habit
from tests.lab.asterisk_lab import AsteriskLab, asterisk_lab, members  # noqa: F401

pytestmark = pytest.mark.pbx


def strength(samples: array[int], hertz: float) -> float:
    """Share of the power of `samples` (8 kHz) that lies at one frequency (Goertzel), 0 to about 1."""
    power = sum(sample * sample for sample in samples)
    if not power:
        return 0.0
    turn = 2 * math.pi * hertz / 8000
    real = sum(sample * math.cos(turn * index) for index, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * index) for index, sample in enumerate(samples))
    return 2 * (real * real + imaginary * imaginary) / (len(samples) * power)


def channels(recording: Path) -> tuple[array[int], array[int]]:
    """The two sides of a recording: outside, inside."""
    if not recording.exists():  # an older Asterisk: a file for each side
        sides = [recording.with_name(f"{recording.stem}-{side}.raw") for side in (1, 2)]
        first, second = (array("h", side.read_bytes()) for side in sides)
        assert abs(len(first) - len(second)) < 800
        return first, second
    samples = array("h", recording.read_bytes())
    return samples[0::2], samples[1::2]


def middle(samples: array[int]) -> array[int]:
    """Half a second from the middle, where both have long begun to talk."""
    centre = len(samples) // 2
    return samples[centre - 2000 : centre + 2000]


async def test_a_call_is_offered_answered_and_recorded_with_each_side_on_its_channel(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    phones = lab.phones(["1001"], Habit(ring_s=(0.6, 0.6), talk_s=(3, 3), sound=lab.tone_file(1000)))
    await phones.start()
    async with members(ami, "support", ["1001"]):
        result = await lab.callers.call(Caller(number="13912345678", to="8001", sound=lab.tone_file(440), hold_s=15))
    begun = await ami.wait("Newchannel", CallerIDNum="13912345678")
    await ami.wait("Hangup", Uniqueid=begun["Uniqueid"])
    await asyncio.sleep(0.2)  # the recorder's own thread closes the file after the leg's end
    assert (result.answered, result.ended_by, result.trouble) == (True, "pbx", "")
    outside, inside = channels(lab.process.recordings / f"{begun['Uniqueid']}.raw")
    assert 2.5 < len(outside) / 8000 < 3.6  # the wait in the queue is not in it
    assert strength(middle(outside), 440) > 0.9 and strength(middle(outside), 1000) < 0.02
    assert strength(middle(inside), 1000) > 0.9 and strength(middle(inside), 440) < 0.02
    await phones.unregister()
    await ami.close()
