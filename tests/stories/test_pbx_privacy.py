"""Who calls is known to Lingxi and to nobody's telephone: no message that a seat's phone gets holds the caller's number or name."""

from __future__ import annotations

import asyncio
import re

import pytest

from config.demo.callers import Caller
from config.demo.phones import Habit, PhoneGroup
from config.demo.sipp_process import BadText
from tests.lab.asterisk_lab import ARI, AsteriskLab, asterisk_lab, members  # noqa: F401
from tests.lab.browser_line import BrowserLine, header, put_secret

pytestmark = pytest.mark.pbx
NUMBER = "13912345678"


def wire(phones: PhoneGroup) -> str:
    """All that a group of phones was sent and sent, from SIPp's own trace."""
    return "".join(path.read_text(errors="replace") for path in phones.folder.glob("*_messages.log"))


def leaks(text: str, *secrets: str) -> list[str]:
    """Those pieces of `secrets`, six characters long, that appear in `text`."""
    pieces = {secret[index : index + 6] for secret in secrets for index in range(max(1, len(secret) - 5))}
    return sorted(piece for piece in pieces if piece in text)


async def test_a_desk_phone_is_not_told_who_calls_not_even_after_a_transfer(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    first = lab.phones(["1005"], Habit(ring_s=(0.2, 0.2)))
    second = lab.phones(["1006"], Habit(ring_s=(0.2, 0.2), talk_s=(0.5, 0.5)))
    await asyncio.gather(first.start("-trace_msg"), second.start("-trace_msg"))
    async with members(ami, "silent", ["1005"]):
        caller = await lab.callers.place(Caller(number=NUMBER, to="8004", name=f"Tel {NUMBER} 欧阳娜娜小姐"))
        connected = await ami.wait("AgentConnect")
        for leg in (connected["DestUniqueid"], connected["Uniqueid"]):
            await ami.wait("BridgeEnter", Uniqueid=leg)
        await ami.action("BlindTransfer", Channel=connected["DestChannel"], Context="lingxi-seats", Exten="1006")
        assert (await caller.result()).ended_by == "pbx"
    begun = await ami.wait("Newchannel", CallerIDNum=NUMBER)
    assert begun["CallerIDName"] == f"Tel {NUMBER} 欧阳娜娜小姐"
    await asyncio.gather(first.stop(), second.stop())
    for phones in (first, second):
        assert "INVITE" in wire(phones)
        assert leaks(wire(phones), NUMBER, "欧阳娜娜小姐") == []
        assert {re.sub(r";tag=.*", "", call.from_header).strip() for call in phones.invited()} == {"<sip:caller@127.0.0.1>"}
    await ami.close()


async def test_a_browsers_phone_is_not_told_who_calls(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    lab = asterisk_lab
    ami = await lab.ami()
    await put_secret(lab.ari_address, ARI, "2003", "secret-of-this-session")
    line = await BrowserLine.open(lab.process.own.address, lab.ports.http, "2003")
    assert await line.register("secret-of-this-session") == 200
    async with members(ami, "silent", ["2003"]):
        caller = await lab.callers.place(Caller(number=NUMBER, to="8004", name=f"Tel {NUMBER} 欧阳娜娜小姐"))
        invite = await line.invited()
        await caller.hang_up()
    assert header(invite, "From").startswith("<sip:caller@")
    assert "RTP/SAVPF" in invite
    assert leaks("".join(line.received), NUMBER, "欧阳娜娜小姐") == []
    await line.close()
    await ami.close()


ODD_NAMES = [
    'Eva "die Kurze" \\ Müller',
    "<script>alert(1)</script>",
    "王小明；[field0] ]]> &amp; ${EXTEN} $[1+1] ; drop",
    "x" * 500,
    "名" * 160,
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=["quotes", "script", "keywords", "500-letters", "utf-8"])
async def test_any_display_name_reaches_us(asterisk_lab: AsteriskLab, name: str) -> None:  # noqa: F811
    """Asterisk cuts a name at 79 bytes, keeps the backslashes of SIP, and writes its own into events: each is undone here once."""
    ami = await asterisk_lab.ami()
    number = f"1370000{ODD_NAMES.index(name):04d}"
    result = await asterisk_lab.callers.call(Caller(number=number, to="8003", name=name, hold_s=0.3))
    assert result.answered, result.trouble
    told = (await ami.wait("Newchannel", CallerIDNum=number))["CallerIDName"]
    for _ in range(2):
        told = re.sub(r"\\(.)", r"\1", told)
    assert told == name if len(name.encode()) < 79 else name.startswith(told.rstrip("\ufffd")) and len(told.encode()) >= 77
    await ami.close()


async def test_a_withheld_number_is_not_sent(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    ami = await asterisk_lab.ami()
    await asterisk_lab.callers.call(Caller(number="", to="8003", hold_s=0.3))
    joined = await ami.wait("QueueCallerJoin", Queue="short")
    print({key: value for key, value in joined.items() if key.startswith("CallerID")})
    assert not re.search(r"\d", joined["CallerIDNum"])
    await ami.close()


async def test_a_line_feed_is_refused_before_anything_is_sent(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    for caller in (
        Caller(number="1\r\nX: y", to="8003"),
        Caller(number="1", to="8003", name="a\r\nX: y"),
        Caller(number="1", to="8003\n"),
    ):
        with pytest.raises(BadText):
            await asterisk_lab.callers.place(caller)
