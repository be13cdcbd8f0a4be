"""What all calls have in common: their program, their line in the ledger, and two who talk.

The truth is decided by the plan and by which seat the floor finds free; nothing is asked of the product. Orders of events are those
of the recorded streams.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from tests.synthetic import words
from tests.synthetic.clockwork import Steps, Task
from tests.synthetic.floor import DOWN, RINGING, UNKNOWN, UP, Bridge, Channel, Floor
from tests.synthetic.ledger import CallLine, Ledger, SegmentLine, TransferLine
from tests.synthetic.plans import HOLD, PASS_ON, PBX, Part, Plan

BREATH_S = 0.0015  # what Asterisk takes for a step


class Gone(Exception):
    """Somebody ended the call; `by` says who, `channel` whose connection it was."""

    def __init__(self, by: str, channel: Channel) -> None:
        super().__init__(by)
        self.by, self.channel = by, channel


def epoch_of(booted: float) -> str:
    """How a boot is named: date and time of the answer to CoreStatus, joined."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(booted))


class Script:
    """A call under way."""

    def __init__(self, floor: Floor, ledger: Ledger, plan: Plan) -> None:
        self.floor, self.ledger, self.plan = floor, ledger, plan
        self.task: Task
        self.line: CallLine
        self._mine: list[Channel] = []
        self._legs: list[str] = []

    def start(self, after: float = 0.0) -> None:
        """Let it run."""
        self.task = self.floor.work.start(self.steps(), after)

    def steps(self) -> Steps:
        """The program."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------ the ledger

    def begin(self, c: Channel, direction: str, caller: str, dialed: str) -> None:
        """The call exists."""
        self.line = CallLine(
            call=c.linkedid, epoch=epoch_of(self.floor.booted), kind=self.plan.kind, direction=direction, caller=caller, dialed=dialed,
            started=self.floor.work.now, offset=self.floor.offset, legs=self._legs,
        )  # fmt: skip
        self.ledger.begin(self.line)
        self.step("begins")

    def step(self, what: str) -> None:
        """Something was said that matters for the books."""
        self.line.steps.append((self.floor.work.now, what))

    def over(self, outcome: str, by: str) -> None:
        """The call is over."""
        self.line.outcome = self.line.outcome or outcome
        self.line.hung_up_by = by
        self.step("ends")
        self.ledger.end(self.line, self.floor.work.now, self.floor.offset)

    # -------------------------------------------------------------------------------------------------------- channels

    def open(self, *, seat: str = "", state: int, exten: str = "s", linked: Channel | None = None, uniqueid: str = "") -> Channel:
        """A channel of this call: of a caller or a dialling phone (without `linked`), or one that is called."""
        outside = not seat
        c = self.floor.open(
            seat=seat, state=state, number=self.plan.number if outside and linked is None else seat or UNKNOWN,
            caller=self.plan.name if outside and linked is None else f"Agent {seat}" if seat else UNKNOWN, exten=exten, inward=state != DOWN,
            linked=linked, uniqueid=uniqueid,
        )  # fmt: skip
        c.task = self.task
        self._mine.append(c)
        self._legs.append(c.uniqueid)
        return c

    def close(self, c: Channel, cause: int, technical: int = 0, *, by: Channel | None = None) -> None:
        """A channel of this call is gone."""
        self._mine.remove(c)
        self.floor.close(c, cause, technical, by=by)

    def wait(self, seconds: float) -> Steps:
        """Wait so long, whoever wakes us; raises Gone if the product had a channel ended meanwhile."""
        until = self.floor.work.now + seconds
        while (left := until - self.floor.work.now) > 1e-6:
            yield left
            self.check()

    def pause(self, seconds: float) -> Steps:
        """Wait so long, whatever is asked of us meanwhile."""
        until = self.floor.work.now + seconds
        while (left := until - self.floor.work.now) > 1e-6:
            yield left

    def check(self) -> None:
        """Raises Gone if the product wants a channel of ours ended."""
        for c in self._mine:
            if c.told_to_end:
                raise Gone(PBX, c)

    def dial(self, caller: Channel | None, rung: Channel, name: str, **more: str) -> None:
        """A word about one channel calling another, or about the PBX calling one by itself."""
        head = words.party(caller) if caller is not None else ""
        tail = "".join(f"{key}: {value}\r\n" for key, value in more.items())
        self.floor.say(name, "call", head + words.party(rung, "Dest") + tail, caller or rung)

    def connected(self, c: Channel, to: Channel) -> None:
        """A party is told whom it is connected to."""
        c.other_number, c.other = to.number, to.caller or to.number
        self.floor.about("NewConnectedLine", c)

    # --------------------------------------------------------------------------------------------------- conversations

    def join(self, first: Channel, second: Channel, seat: Channel, queue: str) -> Bridge:
        """Two hear one another; the segment counts for `seat`."""
        b = self.floor.bridge()
        self.floor.enter(b, first)
        self.floor.enter(b, second)
        other = second if seat is first else first
        now = self.floor.work.now
        self.line.segments.append(SegmentLine(seat=seat.seat, other=other.seat or "outside", queue=queue, started=now))
        self.line.answered = self.line.answered or now
        self.line.outcome = "answered"
        self.step("talks")
        return b

    def part(self, b: Bridge, first: Channel, second: Channel | None) -> None:
        """They hear one another no more; `first` leaves first."""
        self.floor.leave(first)
        self.line.segments[-1].ended = self.floor.work.now
        self.step("parts")
        if second is not None:
            self.floor.leave(second)
            self.floor.say("BridgeDestroy", "call", words.bridge(b))

    def hold(self, seat: Channel, other: Channel, seconds: float) -> Steps:
        """The seat puts the other on hold for so long."""
        segment, began = self.line.segments[-1], self.floor.work.now
        self.floor.about("Hold", seat, "MusicClass: default\r\n")
        self.floor.music(other, True)
        self.step("holds")
        try:
            yield from self.wait(seconds)
        finally:
            segment.held += self.floor.work.now - began
        self.floor.about("Unhold", seat)
        self.floor.music(other, False)
        self.step("resumes")

    def talk(self, seat: Channel, other: Channel, parts: tuple[Part, ...]) -> Generator[float, bool, tuple[Part, ...]]:
        """Talk as planned, up to the end or to where the call is passed on; what is left then is returned."""
        for number, one in enumerate(parts):
            if one.does == PASS_ON:
                return parts[number:]
            yield from self.hold(seat, other, one.for_s) if one.does == HOLD else self.wait(one.for_s)
        return ()

    def request(self, c: Channel, cause: int = 0, technical: int = 0) -> None:
        """A party hangs up."""
        more = (f"Cause: {cause}\r\n" if cause else "") + (f"TechCause: {technical}\r\n" if technical else "")
        self.floor.about("HangupRequest", c, more)

    def soft(self, c: Channel) -> None:
        """The PBX ends a channel by itself."""
        self.floor.about("SoftHangupRequest", c, "Cause: 16\r\n")

    def direct(self, caller: Channel, rung: Channel, dials: str, rings_s: float) -> Steps:
        """A channel is called without a queue: it rings and is picked up."""
        self.floor.move(rung, RINGING)
        self.dial(caller, rung, "DialBegin", DialString=dials)
        self.connected(caller, rung)
        self.dial(caller, rung, "DialState", DialStatus="RINGING")
        self.step(f"rings {rung.seat or 'outside'}")
        yield from self.pause(rings_s)
        self.floor.move(rung, UP)
        self.dial(caller, rung, "DialEnd", DialStatus="ANSWER")

    def end_direct(self, one: Channel, other: Channel, by: str) -> None:
        """Two who were joined without a queue part: `one` goes first, asked for by its party, or by the PBX where `by` says so."""
        b = one.bridge
        assert b is not None
        if by != PBX:
            self.request(one, 16)
        self.part(b, one, other)
        self.soft(one)
        called, caller = (one, other) if one.uniqueid != one.linkedid else (other, one)
        for c in (called, caller) if called.seat else (caller, called):  # as recorded: of two threads, who is quicker
            self.close(c, 16, by=one)

    def passing(self, by: str, to: str) -> TransferLine:
        """The call is passed on."""
        made = TransferLine(by=by, to=to)
        self.line.transfers.append(made)
        self.step("passed on")
        return made
