"""What a PBX driver may say: the contract of every driver, in neutral words.

A driver translates its PBX's own language into these events and hands them on in the order in which they came. They are
facts about legs, queues, offers and phones; nothing here knows of Asterisk, of a seat or of a customer. `at` is the PBX's own
clock in seconds since the Unix epoch, or None where the PBX did not say. `call` and `leg` are the PBX's own identifiers:
unique only together with the PBX and its boot epoch, which the board that receives them adds.

Order is not promised: a PBX may tell of an answer before it tells of the ringing. Receivers key by identifier, never by order.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Party(StrEnum):
    """Who is at the far end of a leg."""

    SEAT = "seat"
    TRUNK = "trunk"
    SYSTEM = "system"  # an announcement, a conference room, one half of a pair inside the PBX


class OfferResult(StrEnum):
    """How ringing one seat for one queue entry ended (house glossary: Offer.result)."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    CALLER_LEFT = "caller_left"
    FAILED = "failed"


class TransferKind(StrEnum):
    """How a call was passed on."""

    BLIND = "blind"
    ATTENDED = "attended"


class Refusal(StrEnum):
    """Why a queue takes nobody in (house glossary: refused)."""

    FULL = "full"
    CLOSED = "closed"
    NOBODY = "nobody"


class Endpoint(Struct, frozen=True, kw_only=True, gc=False):
    """The far end of a leg: `name` is an extension for a seat, the trunk's name for a trunk."""

    party: Party
    name: str


class PbxEvent(Struct, frozen=True, kw_only=True, gc=False):
    """A fact told by a PBX."""

    at: float | None = None


class Booted(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The PBX is up; `epoch` changes with every start of the PBX, so that its identifiers can be told apart for ever."""

    epoch: str


class LinkUp(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The driver hears the PBX (again)."""


class LinkDown(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The driver no longer hears the PBX. Calls go on; what is shown is the last known state."""

    why: str


class LegStarted(PbxEvent, frozen=True, kw_only=True, gc=False):
    """A leg exists. `number` is its party's number as the PBX sent it ("" = withheld); `dialed` what it called, if anything.

    `inward` is True for a leg that entered the PBX from its party (a caller), False for one the PBX created towards its party.
    """

    call: str
    leg: str
    endpoint: Endpoint
    number: str
    name: str
    dialed: str
    inward: bool


class LegNamed(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The number or name of a leg's party became known or changed."""

    leg: str
    number: str
    name: str


class LegDialed(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The PBX began to call this leg's party on behalf of the leg `by` ("" = on its own). `dialed` is what it dials, "" = unknown."""

    leg: str
    by: str
    dialed: str


class LegsPaired(PbxEvent, frozen=True, kw_only=True, gc=False):
    """Two legs are the halves of one pipe inside the PBX: what one hears, the other's bridge hears."""

    leg: str
    other: str


class LegRinging(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The party of this leg is being alerted."""

    leg: str


class LegAnswered(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The party of this leg picked up (or the PBX did, for an inward leg)."""

    leg: str


class LegJoined(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The leg entered a bridge, where it hears whoever else is in it."""

    leg: str
    bridge: str


class LegParted(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The leg left a bridge."""

    leg: str
    bridge: str


class LegHeld(PbxEvent, frozen=True, kw_only=True, gc=False):
    """This leg's party put the other side on hold."""

    leg: str


class LegParked(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The leg was put aside for anybody to take up: it hears nobody, and was passed on to nobody."""

    leg: str


class LegResumed(PbxEvent, frozen=True, kw_only=True, gc=False):
    """This leg's party took the other side back from hold."""

    leg: str


class LegEnded(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The leg is gone. `cause` is the Q.850 cause (0 = none given), `sip` the SIP status where the PBX says it."""

    leg: str
    cause: int
    sip: int | None = None


class LegHungUpBy(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The party of this leg asked for the end (it hung up first)."""

    leg: str


class LegListens(PbxEvent, frozen=True, kw_only=True, gc=False):
    """This leg listens to another without being its party (a supervisor), so what it does is no conversation."""

    leg: str
    to: str


class CallMerged(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The PBX now counts this leg to another of its calls."""

    leg: str
    call: str


class QueueJoined(PbxEvent, frozen=True, kw_only=True, gc=False):
    """A leg began to wait in a queue at `position` (1 = first)."""

    leg: str
    queue: str
    position: int


class QueueAbandoned(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The wait ended without an answer. A time-out of the queue says this too: only the leg's own end tells that the caller left."""

    leg: str
    queue: str


class QueueLeft(PbxEvent, frozen=True, kw_only=True, gc=False):
    """A leg no longer waits in a queue, for whatever reason."""

    leg: str
    queue: str


class QueueRefused(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The queue did not take the leg in, or sent it away again because nobody works in it any more."""

    leg: str
    queue: str
    reason: Refusal


class OfferStarted(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The queue rings one seat (`offer_leg`, at `extension`) for the waiting `leg`."""

    leg: str
    offer_leg: str
    queue: str
    extension: str


class OfferAnswered(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The seat took the offer."""

    leg: str
    offer_leg: str
    queue: str
    extension: str


class OfferMissed(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The queue stopped ringing this seat without an answer; why is told by the offer leg's end."""

    leg: str
    offer_leg: str
    queue: str
    extension: str


class Transferred(PbxEvent, frozen=True, kw_only=True, gc=False):
    """`by` passed its party on. For a blind transfer `to` is what was dialled; for an attended one the leg now talked to.

    `consult` is the leg over which an attended transfer was asked for: `by` itself, or a second call of the same party. Where it
    was not answered yet (`to` is ""), the party takes its place: it is whom the others ring for, or who waits in the line.
    """

    kind: TransferKind
    by: str
    party: str
    to: str
    done: bool
    consult: str = ""


class RecordingStarted(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The sound of this leg and of whoever it hears is written; `file` is the PBX's name for it without directory ("" = unknown)."""

    leg: str
    file: str


class RecordingStopped(PbxEvent, frozen=True, kw_only=True, gc=False):
    """Nothing more is written."""

    leg: str


class PhoneSeen(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The phone of an extension registered (or was found registered), or went away."""

    extension: str
    registered: bool


class MemberSeen(PbxEvent, frozen=True, kw_only=True, gc=False):
    """How a queue sees one of its members now."""

    queue: str
    extension: str
    present: bool
    paused: bool
    reason: str = ""


class Noted(PbxEvent, frozen=True, kw_only=True, gc=False):
    """The dialplan said something of its own: a survey's answer, a wish to be called back. Keys are the dialplan's."""

    leg: str
    kind: str
    fields: tuple[tuple[str, str], ...]


# ---------------------------------------------------------------------------------------------------------------- snapshot


class LegNow(Struct, frozen=True, kw_only=True, gc=False):
    """A leg found alive in a snapshot. `started_at` and `answered_at` are PBX clock seconds, None where the PBX can't say."""

    call: str
    leg: str
    endpoint: Endpoint
    number: str
    name: str
    dialed: str
    inward: bool
    ringing: bool
    up: bool
    bridge: str
    started_at: float | None
    answered_at: float | None


class WaitNow(Struct, frozen=True, kw_only=True, gc=False):
    """A leg found waiting in a queue for `wait_s` seconds."""

    leg: str
    queue: str
    position: int
    wait_s: float


class Snapshot(Struct, frozen=True, kw_only=True, gc=False):
    """Everything a PBX can say of the present moment, taken while its events are being kept back."""

    at: float | None
    epoch: str
    legs: tuple[LegNow, ...]
    waits: tuple[WaitNow, ...]
    members: tuple[MemberSeen, ...]
    phones: tuple[PhoneSeen, ...]
    pairs: tuple[tuple[str, str], ...] = ()  # legs that are the two halves of one pipe
