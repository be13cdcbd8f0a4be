"""What is done to a PBX at work: configuration reloaded under a live call, calls to the outside, numbers that are no numbers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from config.demo.callers import Caller
from config.demo.phones import Habit
from cti.pbx.asterisk.provision import CALLER_ID_VARIABLE, CLICK_CONTEXT, SEAT_CONTEXT, NumberPlan, QueuePlan, Seat
from tests.lab.ami import Ami, AmiRefused
from tests.lab.asterisk_lab import ARI, AsteriskLab, asterisk_lab, members, private_lab  # noqa: F401
from tests.stories.test_pbx_call import channels, middle, strength

pytestmark = pytest.mark.pbx


async def reload_over_ari(lab: AsteriskLab, *modules: str) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(ARI.user, ARI.secret)}
    async with aiohttp.ClientSession(headers=headers) as session:
        for module in modules:
            async with session.put(f"{lab.ari_address}/asterisk/modules/{module}") as response:
                assert response.status == 204


@pytest.mark.parametrize("how", ["three-modules", "everything"])
async def test_a_reload_takes_over_what_changed_and_leaves_a_live_call_alone(private_lab: AsteriskLab, how: str) -> None:  # noqa: F811
    lab = private_lab
    ami = await lab.ami()
    phones = lab.phones(["1001"], Habit(ring_s=(0.2, 0.2), sound=lab.tone_file(1000)))
    await phones.start()
    await ami.action("QueueAdd", Queue="support", Interface="PJSIP/1001", MemberName="Desk 1001")
    caller = await lab.callers.place(Caller(number="13812345678", to="8001", sound=lab.tone_file(440), hold_s=30))
    begun = await ami.wait("AgentConnect")
    await asyncio.sleep(1)
    assert lab.process.configure() == frozenset()
    changed = lab.process.configure(
        replace(
            lab.plan,
            seats=(*lab.plan.seats, Seat(extension="1099", name="Neu", browser=False, secret="desk-1099-secret")),
            queues=(*lab.plan.queues, QueuePlan(name="later", title="后来")),
            numbers=(*lab.plan.numbers, NumberPlan(number="8099", queue="later")),
        )
    )
    assert changed == {"pjsip.conf", "queues.conf", "extensions.conf"}
    if how == "three-modules":
        await reload_over_ari(lab, "res_pjsip.so", "app_queue.so", "pbx_config.so")
    else:
        await lab.process.console("core reload")
    await asyncio.sleep(1)
    assert ami.named("Hangup") == [] and ami.named("BridgeLeave") == []
    assert [m["Name"] for m in await ami.listing("QueueStatus", Queue="support") if m.get("Event") == "QueueMember"] == [
        "Desk 1001"
    ]
    other = await lab.callers.call(Caller(number="13812345679", to="8099", hold_s=0.5))
    assert other.answered
    await ami.wait("QueueCallerJoin", Queue="later")
    assert (await caller.hang_up()).ended_by == "caller"
    await asyncio.sleep(0.3)
    outside, inside = channels(lab.process.recordings / f"{begun['Uniqueid']}.raw")
    assert len(outside) / 8000 > 1.9
    assert strength(middle(outside), 440) > 0.9 and strength(middle(inside), 1000) > 0.9
    await phones.stop()
    await ami.close()


async def dial(ami: Ami, seat: str, context: str, number: str, **more: str) -> bool:
    """Whether the dialplan has a place for the number at all."""
    try:
        await ami.action(
            "Originate", Channel=f"PJSIP/{seat}", Context=context, Exten=number, Priority="1", Async="true", Timeout="5000", **more
        )
    except AmiRefused as refused:
        assert "Extension does not exist" in str(refused)
        return False
    return True


async def test_a_call_to_the_outside_is_recorded_with_the_outside_on_channel_1(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    seat = lab.phones(["1010"], Habit(ring_s=(0.1, 0.1), sound=lab.tone_file(1000)))
    outside = lab.outside(Habit(ring_s=(0.3, 0.3), talk_s=(2.5, 2.5), sound=lab.tone_file(440)))
    await asyncio.gather(seat.start(), outside.start("-trace_msg"))
    await dial(ami, "1010", CLICK_CONTEXT, "02112345678", Variable=f"{CALLER_ID_VARIABLE}=02155556666", ChannelId="our-own-leg-1")
    started = await ami.wait("MixMonitorStart")
    assert (await ami.wait("Newchannel", Uniqueid="our-own-leg-1"))["Channel"].startswith("PJSIP/1010-")
    await ami.wait("Hangup", Uniqueid="our-own-leg-1")
    await asyncio.sleep(0.3)
    assert started["Channel"].startswith("PJSIP/carrier-")
    theirs, ours = channels(lab.process.recordings / f"{started['Uniqueid']}.raw")
    assert 2.0 < len(theirs) / 8000 < 3.0
    assert strength(middle(theirs), 440) > 0.9 and strength(middle(ours), 1000) > 0.9
    sent = "".join(path.read_text() for path in outside.folder.glob("*_messages.log"))
    assert "INVITE sip:02112345678@127.0.0.2" in sent
    assert "<sip:02155556666@" in outside.invited()[0].from_header
    await asyncio.gather(seat.unregister(), outside.stop())
    await ami.close()


REFUSED = [
    "9123&PJSIP",
    "9021/5555555",
    "9021@127.0.0.1",
    "02112345678;x=1",
    "021123${SHELL(id)}",
    '021123456"7',
    "0211234)567",
    "0211234,567",
    "0211234]567",
    "0211234^567",
    "9",
    "12345678901234567890123456789012345",
]


@pytest.mark.parametrize("context", [SEAT_CONTEXT, CLICK_CONTEXT])
async def test_what_is_no_number_is_not_dialled(asterisk_lab: AsteriskLab, context: str) -> None:  # noqa: F811
    """Whatever a seat's phone sends as the number called, nothing of it reaches Dial() but digits and a leading plus."""
    lab = asterisk_lab
    ami = await lab.ami()
    seat = lab.phones(["1011"], Habit(ring_s=(0.01, 0.01)))
    outside = lab.outside(Habit(ring_s=(0.1, 0.1), talk_s=(0.2, 0.2)))
    await asyncio.gather(seat.start(), outside.start())
    for index, number in enumerate(REFUSED):
        if await dial(ami, "1011", context, number, ChannelId=f"{context}-{index}"):
            await ami.wait("Hangup", Uniqueid=f"{context}-{index}")
    assert not [m for m in ami.named("Newchannel") if m["Channel"].startswith("PJSIP/carrier-")]
    await dial(ami, "1011", context, "+862112345678", ChannelId=f"{context}-good")
    await ami.wait("Hangup", Uniqueid=f"{context}-good")
    assert outside.count("answered") == 1
    await asyncio.gather(seat.unregister(), outside.stop())
    await ami.close()


async def test_a_seat_calls_a_seat(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    first, second = (lab.phones([e], Habit(ring_s=(0.1, 0.1), talk_s=t)) for e, t in (("1012", None), ("1013", (0.5, 0.5))))
    await asyncio.gather(first.start(), second.start())
    await dial(ami, "1012", SEAT_CONTEXT, "1013", ChannelId="inside-1")
    ended: dict[str, Any] = await ami.wait("Hangup", Uniqueid="inside-1")
    assert ended["Cause"] == "16"
    assert (first.count("answered"), second.count("answered")) == (1, 1)
    await asyncio.gather(first.unregister(), second.unregister())
    await ami.close()


async def test_the_manager_user_can_reach_neither_a_shell_nor_the_files(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    ami = await asterisk_lab.ami()
    for name, headers in (
        ("Command", {"Command": "core show version"}),
        ("Reload", {}),
        ("GetConfig", {"Filename": "pjsip.conf"}),
        ("Originate", {"Channel": "Local/s@lingxi-lift", "Application": "System", "Data": "true"}),
        ("UpdateConfig", {"SrcFilename": "extensions.conf", "DstFilename": "extensions.conf"}),
    ):
        with pytest.raises(AmiRefused, match=r"Permission denied|Access Forbidden"):
            await ami.action(name, **headers)
    loaded = await asterisk_lab.process.console("core show applications")
    assert not any(f" {name}:" in loaded for name in ("System", "TrySystem", "AGI", "ExternalIVR"))
    functions = await asterisk_lab.process.console("core show functions")
    assert "SHELL" not in functions
    await ami.close()
