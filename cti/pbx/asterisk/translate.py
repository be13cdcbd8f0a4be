"""Asterisk's words into ours: manager events in, PbxEvents out.

Pure: no socket, no clock, and no memory but which call Asterisk counts a leg to (it changes its mind without saying so, in any
event's Linkedid) and whether the leg came in from its party. What a call is and how it stands is the board's business.
Sources: the AMI event pages of Asterisk 18 to 22; older headers lack TechCause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import DecodeError
from msgspec.json import Decoder

from cti.pbx.asterisk.ami_wire import EVENT, LINK, Headers, Message
from cti.pbx.asterisk.channel_names import (
    ExtensionOf,
    dialed_number,
    digits_are_seats,
    endpoint_of,
    extension_at,
    shown,
)
from cti.pbx_events import (
    Booted,
    CallMerged,
    Endpoint,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegHeld,
    LegHungUpBy,
    LegJoined,
    LegListens,
    LegNamed,
    LegParked,
    LegParted,
    LegResumed,
    LegRinging,
    LegsPaired,
    LegStarted,
    LinkDown,
    LinkUp,
    MemberSeen,
    Noted,
    OfferAnswered,
    OfferMissed,
    OfferStarted,
    Party,
    PbxEvent,
    PhoneSeen,
    QueueAbandoned,
    QueueJoined,
    QueueLeft,
    QueueRefused,
    RecordingStarted,
    RecordingStopped,
    Refusal,
    TransferKind,
    Transferred,
)

_seconds: Final = Decoder(float).decode  # an instant; the same number as by float(), six times as fast
_RINGING, _UP, _RING = "5", "6", "4"
_PARTIES_KEPT: Final = 20_000
_REACHABLE: Final = frozenset({"Reachable", "Registered", "Lagged"})
# A bridge in which nobody hears anybody: parking, waiting with music.
_DEAF_BRIDGE: Final = "holding_bridge"
# The UserEvent by which our dialplan says that a queue refused; its headers are Queue and Reason. Asterisk itself says nothing.
_REFUSED_NOTE: Final = "QueueRefused"
_REFUSALS: Final = {reason.value: reason for reason in Refusal}
# What Asterisk puts into every UserEvent before the dialplan's own headers.
_SNAPSHOT_WORDS = """
    Event Privilege Timestamp SequenceNumber SystemName Channel ChannelState ChannelStateDesc CallerIDNum CallerIDName
    ConnectedLineNum ConnectedLineName Language AccountCode Context Exten Priority Uniqueid Linkedid UserEvent
"""
_SNAPSHOT: Final = frozenset(_SNAPSHOT_WORDS.split())

Said = PbxEvent | tuple[PbxEvent, ...] | None
Say = Callable[..., Said]


def _with(names: str) -> Headers:
    return Headers(f"Timestamp {names}")


# The headers that are read of the events that come often, in the order in which Asterisk sends them. Of the others the message is asked.
_READ: Final = {
    "Newchannel": "Channel ChannelState CallerIDNum CallerIDName Exten Uniqueid Linkedid",
    "Newstate": "ChannelState Uniqueid Linkedid",
    "NewCallerid": "Channel CallerIDNum CallerIDName Uniqueid",
    "DialBegin": "Uniqueid DestChannel DestUniqueid DialString",
    "LocalBridge": "LocalOneUniqueid LocalTwoUniqueid",
    "BridgeEnter": "BridgeUniqueid BridgeTechnology Uniqueid Linkedid",
    "BridgeLeave": "BridgeUniqueid Uniqueid",
    "Hold": "Uniqueid",
    "Unhold": "Uniqueid",
    "Hangup": "Uniqueid Cause TechCause?",
    "HangupRequest": "Uniqueid",
    "QueueCallerJoin": "Uniqueid Queue Position",
    "QueueCallerAbandon": "Uniqueid Queue",
    "QueueCallerLeave": "Uniqueid Queue",
    "AgentCalled": "Uniqueid DestUniqueid Queue Interface",
    "AgentConnect": "Uniqueid DestUniqueid Queue Interface",
    "AgentRingNoAnswer": "Uniqueid DestUniqueid Queue Interface",
    "MixMonitorStart": "Uniqueid File?",
    "MixMonitorStop": "Uniqueid",
}
_HEADERS: Final = {name: Headers(f"Timestamp {names}") for name, names in _READ.items()}
_ASKED_FOR: Final = """
    BridgeTechnology DestType Epoch Event Extension Interface OrigTransfererUniqueid ParkeeUniqueid Paused PausedReason Peer PeerStatus
    Ping Queue Reason Response Result SecondTransfererUniqueid SpyeeUniqueid SpyerUniqueid State Timestamp TransferTargetUniqueid
    TransfereeUniqueid TransfererUniqueid Uniqueid UserEvent Why
"""
# All headers that are read here, as Asterisk spells them.
HEADERS: Final = frozenset([*_ASKED_FOR.split(), *(name for headers in _HEADERS.values() for name in headers.names)])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


class Translator:
    """Turns one link's messages into PbxEvents, in order. Unknown and crippled messages give nothing; nothing is raised."""

    WANTED: Final = frozenset(
        f"{LINK} Newchannel Newstate NewCallerid DialBegin LocalBridge BridgeEnter BridgeLeave Hold Unhold Hangup "
        "HangupRequest QueueCallerJoin QueueCallerAbandon QueueCallerLeave AgentCalled AgentConnect AgentRingNoAnswer "
        "BlindTransfer AttendedTransfer ParkedCall MixMonitorStart MixMonitorStop PeerStatus ChanSpyStart QueueMemberAdded QueueMemberRemoved "
        "QueueMemberPause UserEvent".split()
    )

    def __init__(self, extension_of: ExtensionOf = digits_are_seats) -> None:
        self._extension_of = extension_of
        self._call_of: dict[str, str] = {}
        self._inward: set[str] = set()
        self._endpoints: dict[str, Endpoint] = {}
        # Called with the instant and either the values of the headers named above, or the message.
        say: dict[str, Say] = {
            LINK: self._link,
            "Newchannel": self._leg_started,
            "Newstate": self._leg_moved,
            "NewCallerid": self._leg_named,
            "DialBegin": self._leg_dialed,
            "LocalBridge": lambda at, leg, other: LegsPaired(leg=leg, other=other, at=at),
            "BridgeEnter": self._joined,
            "BridgeLeave": lambda at, bridge, leg: LegParted(leg=leg, bridge=bridge, at=at),
            "Hold": lambda at, leg: LegHeld(leg=leg, at=at),
            "Unhold": lambda at, leg: LegResumed(leg=leg, at=at),
            "Hangup": self._leg_ended,
            "HangupRequest": lambda at, leg: LegHungUpBy(leg=leg, at=at),
            "QueueCallerJoin": lambda at, leg, queue, position: QueueJoined(leg=leg, queue=queue, position=_number(position) or 0, at=at),
            "QueueCallerAbandon": lambda at, leg, queue: QueueAbandoned(leg=leg, queue=queue, at=at),
            "QueueCallerLeave": lambda at, leg, queue: QueueLeft(leg=leg, queue=queue, at=at),
            "AgentCalled": lambda *said: self._offer(OfferStarted, *said),
            "AgentConnect": lambda *said: self._offer(OfferAnswered, *said),
            "AgentRingNoAnswer": lambda *said: self._offer(OfferMissed, *said),
            "BlindTransfer": self._blind,
            "AttendedTransfer": self._attended,
            "ParkedCall": lambda at, m: LegParked(leg=m.get("ParkeeUniqueid"), at=at),
            "MixMonitorStart": self._recording,
            "MixMonitorStop": lambda at, leg: RecordingStopped(leg=leg, at=at),
            "ChanSpyStart": lambda at, m: LegListens(leg=m.get("SpyerUniqueid"), to=m.get("SpyeeUniqueid"), at=at),
            "PeerStatus": self._phone,
            "QueueMemberAdded": lambda at, m: self._member(at, m, present=True),
            "QueueMemberRemoved": lambda at, m: self._member(at, m, present=False),
            "QueueMemberPause": lambda at, m: self._member(at, m, present=True),
            "UserEvent": self._noted,
        }  # fmt: skip
        self._known = {name: (_HEADERS.get(name), what) for name, what in say.items()}

    def feed(self, message: Message) -> Sequence[PbxEvent]:
        """What this message says, if it says anything to us."""
        if message.kind is not EVENT:
            # The answer to a Ping says what time it is on the PBX, and with that how late everything else is.
            pong = message.get("Ping") == "Pong"
            return (PbxEvent(at=message.number("Timestamp")),) if pong else ()
        known = self._known.get(message.name)
        if known is None:
            return ()
        headers, say = known
        if headers is None:
            said = say(message.number("Timestamp"), message)
        else:
            values = message.take(headers)
            try:
                at = _seconds(values[0])
            except DecodeError:
                at = None
            said = say(at, *values[1:])
        if said is None:
            return ()
        return said if isinstance(said, tuple) else (said,)

    def _endpoint(self, channel: str) -> Endpoint:
        """Who is behind a channel. All channels of one party have the same beginning, so it is worked out once for each."""
        head = channel.rpartition("-")[0] or channel
        known = self._endpoints.get(head)
        if known is None:
            if len(self._endpoints) > _PARTIES_KEPT:
                self._endpoints.clear()
            known = self._endpoints[head] = endpoint_of(channel, self._extension_of)
        return known

    # ------------------------------------------------------------------------------------------------------- the link

    def _link(self, at: float | None, m: Message) -> Said:
        if m.get("State") == "up":
            self._call_of.clear()
            self._inward.clear()
            return Booted(epoch=m.get("Epoch"), at=at), LinkUp(at=at)
        return LinkDown(why=m.get("Why"), at=at)

    # ----------------------------------------------------------------------------------------------------------- legs

    def _leg_started(
        self, at: float | None, channel: str, state: str, number: str, name: str, dialed: str, leg: str, call: str
    ) -> Said:
        endpoint = self._endpoint(channel)
        inward = state == _RING
        self._call_of[leg] = call
        if inward:
            self._inward.add(leg)
        return LegStarted(
            call=call,
            leg=leg,
            endpoint=endpoint,
            number=endpoint.name if endpoint.party is Party.SEAT else shown(number) if inward else "",
            name=shown(name),
            dialed=dialed if inward else "",
            inward=inward,
            at=at,
        )

    def _leg_moved(self, at: float | None, state: str, leg: str, call: str) -> Said:
        if state == _RINGING:
            return LegRinging(leg=leg, at=at)
        if state == _UP:
            return self._with_merge(call, LegAnswered(leg=leg, at=at))
        return None

    def _leg_named(self, at: float | None, channel: str, number: str, name: str, leg: str) -> Said:
        """A caller's number that the dialplan set right. For the other legs the header holds what *they* are shown."""
        if leg not in self._inward or self._endpoint(channel).party is not Party.TRUNK:
            return None
        return LegNamed(leg=leg, number=shown(number), name=shown(name), at=at)

    def _leg_dialed(self, at: float | None, by: str, channel: str, leg: str, dialed: str) -> Said:
        endpoint = self._endpoint(channel)
        number = endpoint.name if endpoint.party is Party.SEAT else dialed_number(dialed)
        return LegDialed(leg=leg, by=by, dialed=number, at=at)

    def _joined(self, at: float | None, bridge: str, kind: str, leg: str, call: str) -> Said:
        if kind == _DEAF_BRIDGE:
            return None
        return self._with_merge(call, LegJoined(leg=leg, bridge=bridge, at=at))

    def _leg_ended(self, at: float | None, leg: str, cause: str, sip: str) -> Said:
        self._call_of.pop(leg, None)
        self._inward.discard(leg)
        return LegEnded(leg=leg, cause=_number(cause) or 0, sip=_number(sip), at=at)

    def _with_merge(self, call: str, event: LegAnswered | LegJoined) -> Said:
        """The event, and before it that the leg now counts to another call, if it does."""
        known = self._call_of.get(event.leg)
        if not call or known == call:
            return event
        self._call_of[event.leg] = call
        return event if known is None else (CallMerged(leg=event.leg, call=call, at=event.at), event)

    # --------------------------------------------------------------------------------------------------------- queues

    def _offer(
        self, said: type[OfferStarted] | type[OfferAnswered] | type[OfferMissed], at: float | None, leg: str, offer_leg: str, queue: str, interface: str,
    ) -> Said:  # fmt: skip
        return said(leg=leg, offer_leg=offer_leg, queue=queue, extension=extension_at(interface, self._extension_of), at=at)

    def _member(self, at: float | None, m: Message, *, present: bool) -> Said:
        return MemberSeen(
            queue=m.get("Queue"),
            extension=extension_at(m.get("Interface"), self._extension_of),
            present=present,
            paused=m.get("Paused") == "1",
            reason=m.get("PausedReason"),
            at=at,
        )

    # ----------------------------------------------------------------------------------------------------------- rest

    def _blind(self, at: float | None, m: Message) -> Said:
        return Transferred(
            kind=TransferKind.BLIND,
            by=m.get("TransfererUniqueid"),
            party=m.get("TransfereeUniqueid"),
            to=m.get("Extension"),
            done=m.get("Result") == "Success",
            at=at,
        )

    def _attended(self, at: float | None, m: Message) -> Said:
        return Transferred(
            kind=TransferKind.ATTENDED,
            by=m.get("OrigTransfererUniqueid"),
            party=m.get("TransfereeUniqueid"),
            to=m.get("TransferTargetUniqueid"),
            done=m.get("Result") == "Success" and m.get("DestType") != "Fail",
            consult=m.get("SecondTransfererUniqueid"),
            at=at,
        )

    def _recording(self, at: float | None, leg: str, file: str) -> Said:
        """Older Asterisks, and some newer, name no file: our own configuration names it after its leg."""
        return RecordingStarted(leg=leg, file=file.rpartition("/")[2] or f"{leg}.raw", at=at)

    def _phone(self, at: float | None, m: Message) -> Said:
        extension = self._extension_of(m.get("Peer").partition("/")[2])
        if extension is None:
            return None
        return PhoneSeen(extension=extension, registered=m.get("PeerStatus") in _REACHABLE, at=at)

    def _noted(self, at: float | None, m: Message) -> Said:
        own = tuple((key, value) for key, value in m.items() if key not in _SNAPSHOT)
        return said_by_dialplan(m.get("Uniqueid"), m.get("UserEvent"), own, at)


def said_by_dialplan(leg: str, kind: str, fields: tuple[tuple[str, str], ...], at: float | None) -> PbxEvent:
    """What a UserEvent of the dialplan says: that a queue refused, if it is the one for it; else a note."""
    if kind == _REFUSED_NOTE:
        told = dict(reversed(fields))
        reason = _REFUSALS.get(told.get("Reason", "").lower())
        if reason is not None:
            return QueueRefused(leg=leg, queue=told.get("Queue", ""), reason=reason, at=at)
    return Noted(leg=leg, kind=kind, fields=fields, at=at)
