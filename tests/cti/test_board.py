"""What the board makes of calls that no recording of ours holds yet, and of a look at the PBX after a gap."""

from __future__ import annotations

from itertools import count

import pytest
from msgspec.structs import replace

from cti.domain.board import CallBoard
from cti.domain.leg import LegPhase
from cti.domain.live import CallPhase
from cti.events import (
    CallAnswered,
    CallEnded,
    CallFact,
    CallLeftQueue,
    CallMerged,
    CallOffered,
    CallQueued,
    CallStarted,
    CallTransferred,
    DomainEvent,
    OfferEnded,
    PhoneLost,
    PhoneRegistered,
    SeatLeftCall,
)
from cti.pbx_events import (
    Booted,
    Endpoint,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegHeld,
    LegHungUpBy,
    LegJoined,
    LegNamed,
    LegNow,
    LegParked,
    LegParted,
    LegRinging,
    LegsPaired,
    LegStarted,
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
    Refusal,
    Snapshot,
    TransferKind,
    Transferred,
    WaitNow,
)
from tests.cti.call_table import table


class Floor:
    """A board, and short words for what a PBX tells it. Each word takes a tenth of a second; `at` is the PBX's clock."""

    def __init__(self) -> None:
        self.board = CallBoard(1, 2, "boot", count(1).__next__)
        self.at = 1000.0
        self.said: list[DomainEvent] = []

    def tell(self, *events: PbxEvent) -> None:
        for event in events:
            self.said += self.board.apply(replace(event, at=self.at))
        self.at = round(self.at + 0.1, 3)

    def wait(self, seconds: float) -> None:
        self.at = round(self.at + seconds, 3)

    def start(self, leg: str, who: str, *, call: str = "", number: str = "", dialed: str = "", inward: bool = False) -> None:
        party = Party.SEAT if who.isdigit() else Party.SYSTEM if who.startswith("pipe") else Party.TRUNK
        number = who if party is Party.SEAT else number
        end = Endpoint(party=party, name=who)
        self.tell(LegStarted(call=call or leg, leg=leg, endpoint=end, number=number, name="", dialed=dialed, inward=inward))

    def caller(self, leg: str = "C", number: str = "13900000000", dialed: str = "8001") -> None:
        self.start(leg, "carrier", number=number, dialed=dialed, inward=True)

    def queue(self, leg: str = "C", queue: str = "support") -> None:
        self.tell(LegAnswered(leg=leg))
        self.tell(QueueJoined(leg=leg, queue=queue, position=1))

    def offer(self, leg: str, seat: str, *, by: str = "C", queue: str = "support") -> None:
        self.start(leg, seat, call=by)
        self.tell(OfferStarted(leg=by, offer_leg=leg, queue=queue, extension=seat), LegDialed(leg=leg, by=by, dialed=seat))
        self.tell(LegRinging(leg=leg))

    def take(self, leg: str, seat: str, *, by: str = "C", queue: str = "support") -> None:
        self.tell(LegAnswered(leg=leg))
        self.tell(QueueLeft(leg=by, queue=queue), OfferAnswered(leg=by, offer_leg=leg, queue=queue, extension=seat))
        self.bridge(leg, by)

    def dial(self, leg: str, who: str, *, by: str, number: str = "") -> None:
        self.start(leg, who, call=self.call_name(by))
        self.tell(LegDialed(leg=leg, by=by, dialed=number or who))
        self.tell(LegRinging(leg=leg))

    def call_name(self, leg: str) -> str:
        return self.board._floor.legs[leg].call.pbx_call

    def bridge(self, *legs: str, name: str = "") -> None:
        self.tell(*(LegJoined(leg=leg, bridge=name or "-".join(sorted(legs))) for leg in legs))

    def part(self, *legs: str, name: str = "") -> None:
        self.tell(*(LegParted(leg=leg, bridge=name or "-".join(sorted(legs))) for leg in legs))

    def end(self, *legs: str, cause: int = 16) -> None:
        self.tell(*(LegEnded(leg=leg, cause=cause) for leg in legs))

    def of(self, kind: type[DomainEvent]) -> list[DomainEvent]:
        return [event for event in self.said if isinstance(event, kind)]

    @property
    def facts(self) -> list[CallFact]:
        return [event.fact for event in self.said if isinstance(event, CallEnded)]

    def told(self) -> list[str]:
        return table(self.facts, len(self.board.calls())).splitlines()


@pytest.fixture
def floor() -> Floor:
    return Floor()


# ------------------------------------------------------------------------------------------------------ kinds of calls


def test_internal_call(floor: Floor) -> None:
    floor.start("A", "1001", dialed="1002", inward=True)
    assert not floor.said  # where it goes is not known yet
    floor.dial("B", "1002", by="A")
    assert [(e.extension, e.direction, e.caller) for e in floor.of(CallOffered)] == [("1002", "internal", "1001")]  # type: ignore[attr-defined]
    floor.tell(LegAnswered(leg="B"))
    floor.bridge("A", "B")
    floor.wait(5)
    floor.tell(LegHungUpBy(leg="B"))
    floor.part("A", "B")
    floor.end("B", "A")
    assert floor.told() == [
        "internal  1001 -> 1002  answered  answered +0.5  ended +5.8",
        "  leg       seat 1001  1001  nothing  cause 16",
        "  leg       seat 1002  1002  rang answered  cause 16",
        "  talk      1001 - 1002  5.2 s  held 0.0 s",
    ]
    assert {e.extension for e in floor.of(CallAnswered)} == {"1001", "1002"}  # type: ignore[attr-defined]
    assert {(e.extension, e.hung_up_by_seat) for e in floor.of(SeatLeftCall)} == {("1001", False), ("1002", True)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("cause", "outcome"), [(17, "busy"), (21, "rejected"), (19, "no_answer"), (1, "failed"), (34, "failed")])
def test_a_seat_dials_out_in_vain(floor: Floor, cause: int, outcome: str) -> None:
    floor.start("A", "1001", dialed="02155556666", inward=True)
    floor.dial("T", "carrier", by="A", number="02155556666")
    floor.end("T", cause=cause)
    floor.end("A", cause=cause)
    (fact,) = floor.facts
    assert (fact.direction, fact.caller, fact.dialed, fact.outcome) == ("outbound", "1001", "02155556666", outcome)
    assert not floor.of(CallAnswered)


def test_a_caller_rings_a_seat_directly_and_gives_up(floor: Floor) -> None:
    floor.caller(dialed="1001")
    floor.dial("A", "1001", by="C")
    floor.tell(LegHungUpBy(leg="C"))
    floor.end("A", "C", cause=0)
    (fact,) = floor.facts
    assert (fact.direction, fact.outcome) == ("inbound", "no_answer")
    assert [(e.queue, e.result) for e in floor.of(OfferEnded)] == [("", "caller_left")]  # type: ignore[attr-defined]


def test_all_seats_ring_and_one_wins(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    for leg, seat in (("A", "1001"), ("B", "1002"), ("D", "1003")):
        floor.offer(leg, seat)
    floor.tell(LegAnswered(leg="B"))
    floor.end("A", cause=26)
    floor.tell(QueueLeft(leg="C", queue="support"), OfferAnswered(leg="C", offer_leg="B", queue="support", extension="1002"))
    floor.bridge("B", "C")
    floor.end("D", cause=0)
    floor.end("C", "B")
    (fact,) = floor.facts
    results = {offer.extension: str(offer.result) for offer in fact.entries[0].offers}
    assert results == {"1001": "answered_elsewhere", "1002": "answered", "1003": "answered_elsewhere"}
    assert [e.extension for e in floor.of(SeatLeftCall)] == ["1002"]  # type: ignore[attr-defined]


def test_a_wait_flows_over_into_another_queue(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    floor.wait(10)
    floor.tell(QueueAbandoned(leg="C", queue="support"), QueueLeft(leg="C", queue="support"))
    floor.tell(QueueJoined(leg="C", queue="sales", position=3))
    floor.offer("A", "1001", queue="sales")
    floor.take("A", "1001", queue="sales")
    floor.end("C", "A")
    (fact,) = floor.facts
    assert [(e.queue, str(e.outcome)) for e in fact.entries] == [("support", "overflowed"), ("sales", "answered")]
    assert [e.queue for e in floor.of(CallQueued)] == ["support", "sales"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("reason", "outcome"), [("full", "busy"), ("closed", "closed"), ("nobody", "no_answer")])
def test_a_queue_refuses_a_caller(floor: Floor, reason: Refusal, outcome: str) -> None:
    floor.caller()
    floor.tell(LegAnswered(leg="C"))
    refused = QueueRefused(leg="C", queue="support", reason=Refusal(reason))
    floor.tell(refused, refused)
    floor.end("C")
    (fact,) = floor.facts
    assert (fact.outcome, [(e.queue, e.outcome, e.wait_s) for e in fact.entries]) == (outcome, [("support", "refused", 0.0)])
    assert [type(event) for event in floor.said] == [CallStarted, CallQueued, CallLeftQueue, CallEnded]
    assert floor.board.waiting() == []


def test_a_queue_in_which_nobody_works_any_more_sends_its_caller_away(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    floor.wait(3)
    floor.tell(QueueAbandoned(leg="C", queue="support"), QueueLeft(leg="C", queue="support"))
    floor.tell(QueueRefused(leg="C", queue="support", reason=Refusal.NOBODY))
    floor.wait(2)
    floor.tell(QueueRefused(leg="C", queue="support", reason=Refusal.NOBODY))  # the dialplan tried again
    floor.end("C")
    (fact,) = floor.facts
    assert [(e.outcome, e.wait_s) for e in fact.entries] == [("refused", pytest.approx(3.1)), ("refused", 0.0)]


def test_a_caller_leaves_by_key_and_wants_to_be_called_back(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    floor.tell(QueueLeft(leg="C", queue="support"))
    floor.tell(Noted(leg="C", kind="CallbackRequest", fields=(("Number", "139"),)))
    floor.end("C")
    (fact,) = floor.facts
    assert (fact.outcome, fact.entries[0].outcome) == ("callback_requested", "callback")


def test_a_menu_and_nothing_else(floor: Floor) -> None:
    floor.caller()
    floor.tell(LegAnswered(leg="C"))
    floor.end("C")
    assert floor.facts[0].outcome == "ended_in_menu"


def test_a_member_behind_a_pipe_is_offered_once(floor: Floor) -> None:
    """A queue's member may be a pipe to a seat's phones: the pipe's leg is named in the offer, the phone's leg rings."""
    floor.caller()
    floor.queue()
    floor.start("P1", "pipe", call="C")
    floor.start("P2", "pipe", call="C")
    floor.tell(LegsPaired(leg="P1", other="P2"))
    floor.tell(OfferStarted(leg="C", offer_leg="P1", queue="support", extension="1001"), LegDialed(leg="P1", by="C", dialed=""))
    floor.dial("A", "1001", by="P2")
    assert [(e.extension, e.queue) for e in floor.of(CallOffered)] == [("1001", "support")]  # type: ignore[attr-defined]
    assert [part.phase for part in floor.board.at_extension("1001")] == [LegPhase.RINGING]
    floor.tell(LegAnswered(leg="A"), LegAnswered(leg="P1"))
    floor.bridge("A", "P2")
    floor.tell(QueueLeft(leg="C", queue="support"), OfferAnswered(leg="C", offer_leg="P1", queue="support", extension="1001"))
    floor.bridge("C", "P1")
    floor.wait(3)
    floor.end("C", "P1", "P2", "A")
    (fact,) = floor.facts
    (segment,) = fact.segments
    assert (segment.extension, segment.queue, round(segment.talk_s, 1)) == ("1001", "support", 3.1)
    assert [(e.extension, e.queue) for e in floor.of(CallAnswered)] == [("1001", "support")]  # type: ignore[attr-defined]


# ----------------------------------------------------------------------------------------------------------- transfers


def answered(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    floor.offer("A", "1001")
    floor.take("A", "1001")


def test_a_phone_transfers_with_a_second_call_of_its_own(floor: Floor) -> None:
    """Hold, call a colleague, then REFER with Replaces: two calls of the PBX that turn out to be one conversation."""
    answered(floor)
    floor.wait(5)
    floor.tell(LegHeld(leg="A"))
    floor.start("A2", "1001", dialed="1002", inward=True)
    floor.dial("B", "1002", by="A2")
    floor.tell(LegAnswered(leg="B"))
    floor.bridge("A2", "B")
    assert [part.phase for part in floor.board.at_extension("1001")] == [LegPhase.CONNECTED, LegPhase.HELD]
    floor.wait(2)
    floor.tell(LegParted(leg="A", bridge="A-C"))
    floor.tell(Transferred(kind=TransferKind.ATTENDED, by="A", party="C", to="B", done=True))
    floor.tell(LegParted(leg="B", bridge="A2-B"), LegJoined(leg="B", bridge="A-C"))
    floor.end("A", "A2")
    floor.wait(4)
    floor.end("C", "B")
    (merged,) = floor.of(CallMerged)
    (fact,) = floor.facts
    assert isinstance(merged, CallMerged) and merged.into == fact.call_id
    assert len(floor.of(CallStarted)) == 2
    assert [(s.extension, round(s.talk_s), round(s.hold_s)) for s in fact.segments] == [
        ("1001", 5, 3),
        ("1002", 2, 0),
        ("1002", 4, 0),
    ]
    assert [(str(t.kind), t.by, t.to, t.result) for t in fact.transfers] == [("attended", "1001", "1002", "completed")]
    assert [e.extension for e in floor.of(SeatLeftCall)] == ["1001", "1002"]  # type: ignore[attr-defined]


def test_a_seat_that_hands_over_what_still_rings_is_free_at_once(floor: Floor) -> None:
    """The PBX keeps the seat's leg until somebody answers; the agent has put down."""
    answered(floor)
    floor.tell(LegHeld(leg="A"))
    floor.start("P1", "pipe1", call="C")
    floor.start("P2", "pipe2", call="C")
    floor.tell(LegsPaired(leg="P1", other="P2"), LegJoined(leg="P1", bridge="y"))
    floor.tell(LegParted(leg="A", bridge="A-C"), LegJoined(leg="A", bridge="y"))
    floor.dial("B", "1002", by="P2")
    assert [part.phase for part in floor.board.at_extension("1001")] == [LegPhase.HELD]
    floor.tell(LegHungUpBy(leg="A"), LegParted(leg="A", bridge="y"))
    floor.tell(Transferred(kind=TransferKind.ATTENDED, by="A", party="C", to="P1", done=True, consult="A"))
    assert floor.board.at_extension("1001") == () and floor.board.busy_extensions() == {"1002"}
    assert [(e.extension, e.talked, e.hung_up_by_seat) for e in floor.of(SeatLeftCall)] == [("1001", True, True)]  # type: ignore[attr-defined]
    floor.tell(LegAnswered(leg="B"), LegParted(leg="P1", bridge="y"), LegJoined(leg="P1", bridge="A-C"))
    floor.bridge("B", "P2")
    floor.end("A")
    floor.wait(3)
    floor.end("C", "P1", "P2", "B")
    (fact,) = floor.facts
    assert [(t.by, t.to, t.result) for t in fact.transfers] == [("1001", "1002", "completed")]
    assert [e.extension for e in floor.of(SeatLeftCall)] == ["1001", "1002"]  # type: ignore[attr-defined]


def test_a_parked_call_is_held_and_passed_on_to_nobody(floor: Floor) -> None:
    answered(floor)
    parked = LegParked(leg="C"), Transferred(kind=TransferKind.BLIND, by="A", party="C", to="700", done=True)
    floor.tell(*parked, *parked)  # a PBX may say so in either order
    floor.part("A", "C")
    floor.end("A")
    assert [call.phase for call in floor.board.calls()] == [CallPhase.HELD]
    floor.start("B", "1002", dialed="701", inward=True)
    floor.bridge("B", "C")
    assert [call.phase for call in floor.board.calls()] == [CallPhase.TALKING]
    floor.end("C", "B")
    (fact,) = floor.facts
    assert fact.transfers == () and [s.extension for s in fact.segments] == ["1001", "1002"]


def test_the_caller_stays_who_it_was_when_it_is_sent_outside(floor: Floor) -> None:
    floor.caller()
    floor.tell(LegNamed(leg="C", number="02166667777", name="Wang"))  # the dialplan set it right
    floor.queue()
    floor.offer("A", "1001")
    floor.take("A", "1001")
    floor.tell(LegNamed(leg="C", number="02150000000", name=""))  # what the one outside shall see
    floor.end("C", "A")
    (fact,) = floor.facts
    assert (fact.caller, fact.caller_name) == ("02166667777", "Wang")


def test_a_blind_transfer_to_one_who_does_not_answer_has_failed(floor: Floor) -> None:
    answered(floor)
    floor.tell(Transferred(kind=TransferKind.BLIND, by="A", party="C", to="1002", done=True))
    floor.part("A", "C")
    floor.end("A")
    floor.dial("B", "1002", by="C")
    floor.end("B", cause=19)
    floor.end("C")
    (fact,) = floor.facts
    assert [(t.to, t.result) for t in fact.transfers] == [("1002", "failed")]
    assert fact.outcome == "answered"


def test_a_blind_transfer_into_a_queue(floor: Floor) -> None:
    answered(floor)
    floor.tell(Transferred(kind=TransferKind.BLIND, by="A", party="C", to="8002", done=True))
    floor.part("A", "C")
    floor.end("A")
    floor.tell(QueueJoined(leg="C", queue="sales", position=1))
    floor.offer("B", "1002", queue="sales")
    floor.take("B", "1002", queue="sales")
    floor.end("C", "B")
    (fact,) = floor.facts
    assert [(t.to, t.result) for t in fact.transfers] == [("8002", "completed")]
    assert [(s.extension, s.queue) for s in fact.segments] == [("1001", "support"), ("1002", "sales")]
    assert [str(e.outcome) for e in fact.entries] == ["answered", "answered"]


# --------------------------------------------------------------------------------------------------------- after a gap


def now(leg: str, who: str, **details: object) -> LegNow:
    party = Party.SEAT if who.isdigit() else Party.TRUNK
    plain = {
        "call": "C",
        "number": who if who.isdigit() else "139",
        "name": "",
        "dialed": "",
        "inward": False,
        "ringing": False,
        "up": True,
        "bridge": "",
        "started_at": None,
        "answered_at": None,
    }
    return LegNow(leg=leg, endpoint=Endpoint(party=party, name=who), **(plain | details))  # type: ignore[arg-type]


def snapshot(at: float, *legs: LegNow, epoch: str = "boot", **lists: object) -> Snapshot:
    plain: dict[str, object] = {"waits": (), "members": (), "phones": ()}
    return Snapshot(at=at, epoch=epoch, legs=legs, **(plain | lists))  # type: ignore[arg-type]


def test_what_began_in_the_gap_is_found(floor: Floor) -> None:
    picture = snapshot(
        1010.0,
        now("C", "carrier", inward=True, dialed="8001", started_at=1002.0),
        now("A", "1001", ringing=True, up=False, started_at=1009.0),
        now("D", "carrier", call="D", number="138", inward=True, dialed="8001", bridge="x", started_at=1001.0),
        now("B", "1002", call="D", bridge="x", started_at=1003.0),
        waits=(WaitNow(leg="C", queue="support", position=1, wait_s=8.0),),
        members=(MemberSeen(queue="support", extension="1001", present=True, paused=False),),
        phones=(PhoneSeen(extension="1001", registered=True), PhoneSeen(extension="1009", registered=False)),
    )
    floor.said += floor.board.reconcile(picture)
    assert {call.phase for call in floor.board.calls()} == {CallPhase.RINGING, CallPhase.TALKING}
    (wait,) = floor.board.waiting("support")
    assert (wait.since, wait.offered_to) == (1002.0, ("1001",))
    assert [part.phase for part in floor.board.at_extension("1002")] == [LegPhase.CONNECTED]
    assert [e.extension for e in floor.of(CallAnswered)] == ["1002"]  # type: ignore[attr-defined]
    assert [e.extension for e in floor.of(CallOffered)] == ["1001"]  # type: ignore[attr-defined]
    assert len(floor.of(PhoneRegistered)) == 1 and not floor.of(PhoneLost)
    before = len(floor.said)
    floor.said += floor.board.reconcile(picture)
    assert len(floor.said) == before  # the same picture again says nothing
    floor.at = 1012.0
    floor.take("A", "1001")
    floor.end("C", "A")
    (fact,) = floor.facts
    assert (fact.started_at, str(fact.entries[0].outcome), fact.unobserved) == (1002.0, "answered", False)


def test_of_legs_that_began_in_one_second_the_caller_came_first_however_they_are_listed(floor: Floor) -> None:
    seat = now("A", "1001", ringing=True, up=False, started_at=1002.0)
    caller = now("C", "carrier", inward=True, dialed="8001", started_at=1002.0)
    waits = (WaitNow(leg="C", queue="support", position=1, wait_s=8.0),)
    floor.said += floor.board.reconcile(snapshot(1010.0, seat, caller, waits=waits))
    assert [(call.caller, str(call.direction)) for call in floor.board.calls()] == [("139", "inbound")]
    assert [(e.extension, e.caller) for e in floor.of(CallOffered)] == [("1001", "139")]  # type: ignore[attr-defined]


def test_what_ended_in_the_gap_ends_unobserved_after_a_moment(floor: Floor) -> None:
    answered(floor)
    floor.wait(5)
    floor.said += floor.board.reconcile(snapshot(floor.at))
    assert floor.board.calls() == [] and floor.board.at_extension("1001") == () and not floor.facts
    floor.said += floor.board.apply(PbxEvent(at=floor.at + 0.9))
    assert not floor.facts
    floor.said += floor.board.apply(PbxEvent(at=floor.at + 1.1))
    (fact,) = floor.facts
    assert (fact.unobserved, fact.ended_at, str(fact.outcome)) == (True, None, "answered")
    assert [e.talked for e in floor.of(SeatLeftCall)] == [True]  # type: ignore[attr-defined]


def test_a_transfer_heard_late_is_not_told_again_by_the_books(floor: Floor) -> None:
    answered(floor)
    passed = Transferred(kind=TransferKind.BLIND, by="A", party="C", to="1002", done=True)
    floor.wait(0.9)
    floor.tell(passed)
    floor.said += floor.board.apply(replace(passed, at=floor.at - 1.0), unheard=True)
    assert len(floor.of(CallTransferred)) == 1


def test_a_call_began_with_the_leg_it_is_named_after_though_the_clock_was_set_back_since(floor: Floor) -> None:
    floor.start("click", "1001")
    floor.wait(-3600)
    floor.tell(LegAnswered(leg="click"))
    floor.dial("T", "carrier", by="click", number="0571")
    floor.end("T", "click", cause=17)
    (fact,) = floor.facts
    assert (str(fact.direction), fact.dialed, str(fact.outcome)) == ("outbound", "0571", "busy")


def test_what_is_newer_than_the_look_at_the_pbx_is_not_judged_by_it(floor: Floor) -> None:
    """The look is an answer that was on its way for a while; what was heard meanwhile is newer than it."""
    waits = (WaitNow(leg="C", queue="support", position=1, wait_s=1.0),)
    floor.caller("C")
    floor.queue("C")
    seen = snapshot(floor.at, now("C", "carrier", inward=True, dialed="8001"), waits=waits)
    floor.wait(0.5)
    floor.tell(LegHungUpBy(leg="C"), QueueLeft(leg="C", queue="support"))
    floor.caller("D")
    floor.queue("D")
    before = len(floor.said)
    floor.said += floor.board.reconcile(seen)
    floor.said += floor.board.apply(PbxEvent(at=floor.at + 5))
    assert len(floor.said) == before and [wait.queue for wait in floor.board.waiting()] == ["support"]


def test_an_end_that_was_on_its_way_is_still_heard(floor: Floor) -> None:
    answered(floor)
    floor.wait(5)
    floor.said += floor.board.reconcile(snapshot(floor.at))
    floor.end("C", "A")
    (fact,) = floor.facts
    assert (fact.unobserved, fact.ended_at) == (False, 1005.9)


def test_a_wait_that_was_answered_in_the_gap(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    floor.offer("A", "1001")
    here = (now("C", "carrier", inward=True, bridge="x"), now("A", "1001", bridge="x"))
    floor.said += floor.board.reconcile(snapshot(floor.at, *here))
    assert [str(e.outcome) for e in floor.of(CallLeftQueue)] == ["answered"]  # type: ignore[attr-defined]
    assert [str(e.result) for e in floor.of(OfferEnded)] == ["answered"]  # type: ignore[attr-defined]
    assert [e.queue for e in floor.of(CallAnswered)] == ["support"]  # type: ignore[attr-defined]
    assert floor.board.waiting() == []


def test_another_boot_ends_all_and_its_names_may_come_again(floor: Floor) -> None:
    answered(floor)
    floor.tell(Booted(epoch="next"))
    (fact,) = floor.facts
    assert (fact.epoch, fact.unobserved) == ("boot", True)
    assert floor.board.epoch == "next"
    floor.caller()
    assert [call.dialed for call in floor.board.calls()] == ["8001"]
    assert floor.board.calls()[0].call_id != fact.call_id


def test_a_call_keeps_the_identifier_it_had_before_a_restart_of_ours() -> None:
    board = CallBoard(1, 2, "boot", count(1).__next__, {"C": 777}.get)
    end = Endpoint(party=Party.TRUNK, name="carrier")
    said = board.apply(LegStarted(call="C", leg="C", endpoint=end, number="139", name="", dialed="8001", inward=True, at=1.0))
    assert [event.call_id for event in said if isinstance(event, CallStarted)] == [777]


def test_missed_offers_and_rejections_keep_the_seat_free(floor: Floor) -> None:
    floor.caller()
    floor.queue()
    floor.offer("A", "1001")
    floor.tell(OfferMissed(leg="C", offer_leg="A", queue="support", extension="1001"))
    floor.end("A", cause=17)
    assert floor.board.at_extension("1001") == ()
    assert [str(e.result) for e in floor.of(OfferEnded)] == ["rejected"]  # type: ignore[attr-defined]
    assert not floor.of(SeatLeftCall)


def test_names_and_numbers_hold_nothing_a_database_refuses(floor: Floor) -> None:
    floor.tell(
        LegStarted(
            call="C",
            leg="C",
            endpoint=Endpoint(party=Party.TRUNK, name="carrier"),
            number="1\x0039\ud800",
            name="王\r\nAction: x\u202e",
            dialed="8001",
            inward=True,
        )
    )
    (call,) = floor.board.calls()
    assert (call.caller, call.caller_name) == ("139", "王Action: x\u202e")
