"""Asterisk's lists of the present moment, read into a neutral Snapshot.

Pure: the driver asks, this reads the answers. Sources: actions Status, QueueStatus, BridgeList, DeviceStateList.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cti.pbx.asterisk.ami_wire import Message
from cti.pbx.asterisk.channel_names import ExtensionOf, endpoint_of, extension_at, shown
from cti.pbx_events import LegNow, MemberSeen, Party, PhoneSeen, WaitNow

_OUTGOING: Final = "(Outgoing Line)"
_AWAY: Final = frozenset({"UNAVAILABLE", "INVALID", "UNKNOWN"})
RINGING, UP = "5", "6"


def epoch_of(status: Message) -> str:
    """Which boot of the PBX this is, from its CoreStatus; the same on every connection."""
    return f"{status.get('CoreStartupDate')}T{status.get('CoreStartupTime')}"


def clock_of(pong: Message) -> float | None:
    """The PBX's clock, from its answer to a Ping."""
    return pong.number("Timestamp")


def legs_of(
    statuses: Sequence[Message], bridges: Sequence[Message], at: float | None, extension_of: ExtensionOf
) -> tuple[LegNow, ...]:
    """Every leg alive. A leg in a bridge in which nobody hears anybody (parking) counts as in none."""
    deaf = {b.get("BridgeUniqueid") for b in bridges if b.get("BridgeTechnology") == "holding_bridge"}
    legs = []
    for m in statuses:
        if m.name != "Status":
            continue
        endpoint = endpoint_of(m.get("Channel"), extension_of)
        dialed = m.get("DNID")
        inward = bool(dialed) and m.get("Data") != _OUTGOING
        bridge = m.get("BridgeID")
        legs.append(
            LegNow(
                call=m.get("Linkedid"),
                leg=m.get("Uniqueid"),
                endpoint=endpoint,
                number=endpoint.name if endpoint.party is Party.SEAT else shown(m.get("CallerIDNum")),
                name=shown(m.get("CallerIDName")),
                dialed=dialed if inward else "",
                inward=inward,
                ringing=m.get("ChannelState") == RINGING,
                up=m.get("ChannelState") == UP,
                bridge="" if bridge in deaf else bridge,
                started_at=_ago(at, m.get("Seconds")),
                answered_at=None,
            )
        )
    return tuple(legs)


def pairs_of(statuses: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    """The two halves of every pipe: channels `Local/…;1` and `Local/…;2`."""
    halves = {m.get("Channel"): m.get("Uniqueid") for m in statuses if m.get("Channel").startswith("Local/")}
    return tuple(
        (one, halves[name[:-1] + "2"]) for name, one in halves.items() if name.endswith(";1") and name[:-1] + "2" in halves
    )


def waits_of(queues: Sequence[Message]) -> tuple[WaitNow, ...]:
    """Who waits in which queue."""
    return tuple(
        WaitNow(leg=m.get("Uniqueid"), queue=m.get("Queue"), position=_int(m.get("Position")), wait_s=_int(m.get("Wait")))
        for m in queues
        if m.name == "QueueEntry"
    )


def members_of(queues: Sequence[Message], extension_of: ExtensionOf) -> tuple[MemberSeen, ...]:
    """Every member of every queue."""
    return tuple(
        MemberSeen(
            queue=m.get("Queue"),
            extension=extension_at(m.get("Location"), extension_of),
            present=True,
            paused=m.get("Paused") == "1",
            reason=m.get("PausedReason"),
        )
        for m in queues
        if m.name == "QueueMember"
    )


def phones_of(states: Sequence[Message], extension_of: ExtensionOf) -> tuple[PhoneSeen, ...]:
    """Which seats' phones can be rung."""
    phones = []
    for m in states:
        technology, _, name = m.get("Device").partition("/")
        extension = extension_of(name) if technology in ("PJSIP", "SIP") else None
        if m.name == "DeviceStateChange" and extension is not None:
            phones.append(PhoneSeen(extension=extension, registered=m.get("State") not in _AWAY))
    return tuple(phones)


def _ago(at: float | None, seconds: str) -> float | None:
    return at - int(seconds) if at is not None and seconds.isdigit() else None


def _int(text: str) -> int:
    return int(text) if text.isdigit() else 0
