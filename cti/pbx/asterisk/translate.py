"""Asterisk's words into ours: manager events in, PbxEvents out.

Pure: no socket, no clock, and no memory but which call Asterisk counts a leg to (it changes its mind without saying so, in any
event's Linkedid) and whether the leg came in from its party. What a call is and how it stands is the board's business.
Sources: the AMI event pages of Asterisk 18 to 22; older headers lack TechCause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cti.pbx.asterisk.ami_wire import EVENT, LINK, Message
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

# The headers that are read below, as Asterisk spells them.
_HEADER_WORDS: Final = """
    BridgeTechnology BridgeUniqueid CallerIDName CallerIDNum Cause Channel ChannelState DestChannel
    DestType DestUniqueid DialString Epoch Event Exten Extension File
    Interface Linkedid LocalOneUniqueid LocalTwoUniqueid OrigTransfererUniqueid Paused PausedReason Peer
    PeerStatus Ping Position Queue Reason Response Result SpyeeUniqueid
    SpyerUniqueid State TechCause Timestamp TransferTargetUniqueid TransfereeUniqueid TransfererUniqueid Uniqueid
    UserEvent Why
"""
HEADERS: Final = frozenset(_HEADER_WORDS.split())

Said = PbxEvent | tuple[PbxEvent, ...] | None


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
        self._say: dict[str, Callable[[Message, float | None], Said]] = {
            LINK: self._link,
            "Newchannel": self._leg_started,
            "Newstate": self._leg_moved,
            "NewCallerid": self._leg_named,
            "DialBegin": self._leg_dialed,
            "LocalBridge": self._paired,
            "BridgeEnter": self._joined,
            "BridgeLeave": self._parted,
            "Hold": lambda m, at: LegHeld(leg=m.then("Uniqueid"), at=at),
            "Unhold": lambda m, at: LegResumed(leg=m.then("Uniqueid"), at=at),
            "Hangup": self._leg_ended,
            "HangupRequest": lambda m, at: LegHungUpBy(leg=m.then("Uniqueid"), at=at),
            "QueueCallerJoin": self._queue_joined,
            "QueueCallerAbandon": lambda m, at: QueueAbandoned(leg=m.then("Uniqueid"), queue=m.then("Queue"), at=at),
            "QueueCallerLeave": lambda m, at: QueueLeft(leg=m.then("Uniqueid"), queue=m.then("Queue"), at=at),
            "AgentCalled": lambda m, at: self._offer(OfferStarted, m, at),
            "AgentConnect": lambda m, at: self._offer(OfferAnswered, m, at),
            "AgentRingNoAnswer": lambda m, at: self._offer(OfferMissed, m, at),
            "BlindTransfer": self._blind,
            "AttendedTransfer": self._attended,
            "ParkedCall": lambda m, at: LegParked(leg=m.get("ParkeeUniqueid"), at=at),
            "MixMonitorStart": self._recording,
            "MixMonitorStop": lambda m, at: RecordingStopped(leg=m.then("Uniqueid"), at=at),
            "ChanSpyStart": lambda m, at: LegListens(leg=m.then("SpyerUniqueid"), to=m.then("SpyeeUniqueid"), at=at),
            "PeerStatus": self._phone,
            "QueueMemberAdded": lambda m, at: self._member(m, at, present=True),
            "QueueMemberRemoved": lambda m, at: self._member(m, at, present=False),
            "QueueMemberPause": lambda m, at: self._member(m, at, present=True),
            "UserEvent": self._noted,
        }

    def feed(self, message: Message) -> list[PbxEvent]:
        """What this message says, if it says anything to us."""
        if message.kind is not EVENT:
            # The answer to a Ping says what time it is on the PBX, and with that how late everything else is.
            pong = message.get("Ping") == "Pong"
            return [PbxEvent(at=message.number("Timestamp"))] if pong else []
        if (say := self._say.get(message.name)) is None:
            return []
        said = say(message, message.number("Timestamp"))
        if said is None:
            return []
        return list(said) if isinstance(said, tuple) else [said]

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

    def _link(self, m: Message, at: float | None) -> Said:
        if m.get("State") == "up":
            self._call_of.clear()
            self._inward.clear()
            return Booted(epoch=m.get("Epoch"), at=at), LinkUp(at=at)
        return LinkDown(why=m.get("Why"), at=at)

    # ----------------------------------------------------------------------------------------------------------- legs

    def _leg_started(self, m: Message, at: float | None) -> Said:
        endpoint = self._endpoint(m.then("Channel"))
        inward = m.then("ChannelState") == _RING
        number = shown(m.then("CallerIDNum"))
        name = shown(m.then("CallerIDName"))
        dialed = m.then("Exten")
        leg, call = m.then("Uniqueid"), m.then("Linkedid")
        self._call_of[leg] = call
        if inward:
            self._inward.add(leg)
        seat = endpoint.party is Party.SEAT
        return LegStarted(
            call=call,
            leg=leg,
            endpoint=endpoint,
            number=endpoint.name if seat else number if inward else "",
            name=name,
            dialed=dialed if inward else "",
            inward=inward,
            at=at,
        )

    def _leg_moved(self, m: Message, at: float | None) -> Said:
        state = m.then("ChannelState")
        if state == _RINGING:
            return LegRinging(leg=m.then("Uniqueid"), at=at)
        if state == _UP:
            leg = m.then("Uniqueid")
            return self._with_merge(m, leg, LegAnswered(leg=leg, at=at))
        return None

    def _leg_named(self, m: Message, at: float | None) -> Said:
        """A caller's number that the dialplan set right. For the other legs the header holds what *they* are shown."""
        leg = m.get("Uniqueid")
        if leg not in self._inward or self._endpoint(m.get("Channel")).party is not Party.TRUNK:
            return None
        return LegNamed(leg=leg, number=shown(m.get("CallerIDNum")), name=shown(m.get("CallerIDName")), at=at)

    def _leg_dialed(self, m: Message, at: float | None) -> Said:
        by = m.then("Uniqueid")
        endpoint = self._endpoint(m.get("DestChannel"))
        leg = m.get("DestUniqueid")
        dialed = endpoint.name if endpoint.party is Party.SEAT else dialed_number(m.get("DialString"))
        return LegDialed(leg=leg, by=by, dialed=dialed, at=at)

    def _paired(self, m: Message, at: float | None) -> Said:
        return LegsPaired(leg=m.get("LocalOneUniqueid"), other=m.get("LocalTwoUniqueid"), at=at)

    def _joined(self, m: Message, at: float | None) -> Said:
        bridge = m.then("BridgeUniqueid")
        if m.then("BridgeTechnology") == _DEAF_BRIDGE:
            return None
        leg = m.then("Uniqueid")
        return self._with_merge(m, leg, LegJoined(leg=leg, bridge=bridge, at=at))

    def _parted(self, m: Message, at: float | None) -> Said:
        bridge = m.then("BridgeUniqueid")
        return LegParted(leg=m.then("Uniqueid"), bridge=bridge, at=at)

    def _leg_ended(self, m: Message, at: float | None) -> Said:
        leg = m.then("Uniqueid")
        self._call_of.pop(leg, None)
        self._inward.discard(leg)
        return LegEnded(leg=leg, cause=_number(m.then("Cause")) or 0, sip=_number(m.then("TechCause")), at=at)

    def _with_merge(self, m: Message, leg: str, event: PbxEvent) -> Said:
        """The event, and before it that the leg now counts to another call, if it does."""
        call = m.then("Linkedid")
        known = self._call_of.get(leg)
        if not call or known == call:
            return event
        self._call_of[leg] = call
        return event if known is None else (CallMerged(leg=leg, call=call, at=event.at), event)

    # --------------------------------------------------------------------------------------------------------- queues

    def _queue_joined(self, m: Message, at: float | None) -> Said:
        return QueueJoined(leg=m.then("Uniqueid"), queue=m.then("Queue"), position=_number(m.then("Position")) or 0, at=at)

    def _offer(self, said: type[OfferStarted] | type[OfferAnswered] | type[OfferMissed], m: Message, at: float | None) -> Said:
        return said(
            leg=m.then("Uniqueid"),
            offer_leg=m.then("DestUniqueid"),
            queue=m.then("Queue"),
            extension=extension_at(m.then("Interface"), self._extension_of),
            at=at,
        )

    def _member(self, m: Message, at: float | None, *, present: bool) -> Said:
        return MemberSeen(
            queue=m.get("Queue"),
            extension=extension_at(m.get("Interface"), self._extension_of),
            present=present,
            paused=m.get("Paused") == "1",
            reason=m.get("PausedReason"),
            at=at,
        )

    # ----------------------------------------------------------------------------------------------------------- rest

    def _blind(self, m: Message, at: float | None) -> Said:
        return Transferred(
            kind=TransferKind.BLIND,
            by=m.get("TransfererUniqueid"),
            party=m.get("TransfereeUniqueid"),
            to=m.get("Extension"),
            done=m.get("Result") == "Success",
            at=at,
        )

    def _attended(self, m: Message, at: float | None) -> Said:
        return Transferred(
            kind=TransferKind.ATTENDED,
            by=m.get("OrigTransfererUniqueid"),
            party=m.get("TransfereeUniqueid"),
            to=m.get("TransferTargetUniqueid"),
            done=m.get("Result") == "Success" and m.get("DestType") != "Fail",
            consult=m.get("SecondTransfererUniqueid"),
            at=at,
        )

    def _recording(self, m: Message, at: float | None) -> Said:
        """Older Asterisks, and some newer, name no file: our own configuration names it after its leg."""
        leg = m.get("Uniqueid")
        return RecordingStarted(leg=leg, file=m.get("File").rpartition("/")[2] or f"{leg}.raw", at=at)

    def _phone(self, m: Message, at: float | None) -> Said:
        extension = self._extension_of(m.get("Peer").partition("/")[2])
        if extension is None:
            return None
        return PhoneSeen(extension=extension, registered=m.get("PeerStatus") in _REACHABLE, at=at)

    def _noted(self, m: Message, at: float | None) -> Said:
        leg, kind = m.get("Uniqueid"), m.get("UserEvent")
        if kind == _REFUSED_NOTE and (reason := _REFUSALS.get(m.get("Reason").lower())) is not None:
            return QueueRefused(leg=leg, queue=m.get("Queue"), reason=reason, at=at)
        own = tuple((key, value) for key, value in m.items() if key not in _SNAPSHOT)
        return Noted(leg=leg, kind=kind, fields=own, at=at)
