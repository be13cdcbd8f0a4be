"""What callers and phones of the lab can do besides talking: wait in vain, give up, press keys, refuse, let it ring, vanish."""

from __future__ import annotations

import asyncio
import re

import pytest

from config.demo.callers import Caller
from config.demo.phones import Habit
from tests.lab.asterisk_lab import AsteriskLab, asterisk_lab, members  # noqa: F401

pytestmark = pytest.mark.pbx


async def test_a_number_that_is_nobodys_is_refused(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    result = await asterisk_lab.callers.call(Caller(number="13900000001", to="8555"))
    assert (result.answered, result.code, result.ended_by) == (False, 404, "")


async def test_who_waits_too_long_is_let_go(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    ami = await asterisk_lab.ami()
    result = await asterisk_lab.callers.call(Caller(number="13900000002", to="8003", hold_s=20))
    assert (result.answered, result.ended_by) == (True, "pbx")
    await ami.wait("QueueCallerAbandon", CallerIDNum="13900000002")
    log = (asterisk_lab.process.home / "log/queue_log").read_text()
    assert "|short|NONE|EXITWITHTIMEOUT|" in log
    await ami.close()


async def test_who_gives_up_is_counted_as_abandoned(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    ami = await asterisk_lab.ami()
    caller = await asterisk_lab.callers.place(Caller(number="13900000003", to="8004", hold_s=60))
    await ami.wait("QueueCallerJoin", CallerIDNum="13900000003")
    assert (await caller.hang_up()).ended_by == "caller"
    gone = await ami.wait("QueueCallerAbandon", CallerIDNum="13900000003")
    await ami.wait("Hangup", Uniqueid=gone["Uniqueid"])
    await asyncio.sleep(0.2)
    assert gone["Uniqueid"] in (asterisk_lab.process.home / "log/cdr-csv/Master.csv").read_text()
    await ami.close()


async def test_keys_are_heard(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    """Which keys the PBX heard is in no event that the manager user gets, so it is made to write them down."""
    lab = asterisk_lab
    await lab.process.console("logger add channel keys dtmf")
    result = await lab.callers.call(Caller(number="13900000004", to="8004", hold_s=2.5, keys="12#", keys_after_s=0.3))
    assert (result.answered, result.ended_by, result.trouble) == (True, "caller", "")
    said = (lab.process.home / "log/keys").read_text()
    assert re.findall(r"DTMF end '(.)' received", said) == ["1", "2", "#"]


async def test_a_phone_that_refuses_and_one_that_lets_it_ring(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    busy = lab.phones(["1030"], Habit(answers="busy"))
    deaf = lab.phones(["1031"], Habit(answers="never"))
    await asyncio.gather(busy.start(), deaf.start())
    async with members(ami, "short", ["1030", "1031"]):
        result = await lab.callers.call(Caller(number="13900000005", to="8003", hold_s=20))
    assert result.ended_by == "pbx"
    assert len(ami.named("AgentRingNoAnswer", Interface="PJSIP/1030")) >= 1
    assert {message["Cause"] for message in ami.named("Hangup") if message["Channel"].startswith("PJSIP/1030")} == {"17"}
    assert deaf.count("cancelled") >= 1 and deaf.count("answered") == 0
    await asyncio.gather(busy.unregister(), deaf.unregister())
    await ami.close()


async def test_one_process_serves_many_seats_at_once(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    seats = [str(number) for number in range(1025, 1030)]
    phones = lab.phones(seats, Habit(ring_s=(0.1, 0.5), sound=lab.tone_file(1000)))
    await phones.start()
    async with members(ami, "silent", seats):
        calls = [Caller(number=f"1390000010{index}", to="8004", sound=lab.tone_file(440), hold_s=5) for index in range(5)]
        results = await asyncio.gather(*(lab.callers.call(caller) for caller in calls))
    assert [result.ended_by for result in results] == ["caller"] * 5
    assert {message["Interface"] for message in ami.named("AgentConnect")} == {f"PJSIP/{seat}" for seat in seats}
    assert phones.count("hung-up-by pbx") == 5
    await phones.unregister()
    await ami.close()


async def test_a_phone_that_is_unregistered_gets_no_offer(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    phones = lab.phones(["1032"], Habit(ring_s=(0.1, 0.1)))
    await phones.start()
    await ami.wait("ContactStatus", AOR="1032")
    await phones.unregister()
    await ami.wait("ContactStatus", AOR="1032", ContactStatus="Removed")
    async with members(ami, "short", ["1032"]):
        await lab.callers.call(Caller(number="13900000006", to="8003", hold_s=1.5))
    assert ami.named("AgentCalled") == []
    await ami.close()
