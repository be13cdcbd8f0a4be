"""A call from outside: it waits in a queue, seats are rung for it, one answers or nobody does."""

from __future__ import annotations

from collections.abc import Generator

from tests.synthetic import words
from tests.synthetic.clockwork import Steps
from tests.synthetic.floor import DOWN, RING, RINGING, UP, Channel, Member, Queue
from tests.synthetic.ledger import EntryLine, OfferLine
from tests.synthetic.plans import ANSWER, CALLER, IGNORE, PBX, REJECT, SEAT, Part, Ring
from tests.synthetic.script import BREATH_S, Gone, Script

Tried = Generator[float, bool, bool]
"""Waits, like Steps, and says in the end whether the call went on from there to its end."""


class Inbound(Script):
    """The program of such a call."""

    def steps(self) -> Steps:
        floor, plan = self.floor, self.plan
        c = self.open(state=RING, exten=plan.dialed)
        self.begin(c, "inbound", plan.number, plan.dialed)
        yield from self.pause(BREATH_S)
        floor.lift()
        floor.move(c, UP)
        floor.say("DeviceStateChange", "call", f"Device: PJSIP/{floor.trunk}\r\nState: INUSE\r\n")
        floor.about("MixMonitorStart", c)
        queue = floor.queues[plan.queue]
        floor.app_begins(c, "Queue", f"{queue.name},ib(lingxi-offer^s^1),,,")
        floor.join(queue, c)
        entry = EntryLine(queue=queue.name, joined=floor.work.now)
        self.line.entries.append(entry)
        self.step("waits")
        yield from self._wait(queue, c, entry)

    # ---------------------------------------------------------------------------------------------------------- waiting

    def _wait(self, queue: Queue, c: Channel, entry: EntryLine) -> Steps:
        floor = self.floor
        leaves, gives_up = floor.work.now + self.plan.patience_s, floor.work.now + queue.max_wait_s
        coming = list(self.plan.rings)
        while floor.work.now < min(leaves, gives_up):
            m = floor.pick(queue, c)
            if m is None:
                yield min(leaves, gives_up) - floor.work.now
                if c.told_to_end:
                    break
                continue
            ring = coming.pop(0) if len(coming) > 1 else coming[0]
            if (yield from self._offer(queue, c, entry, m, ring, min(leaves, gives_up))):
                return
        if c.told_to_end or floor.work.now >= leaves:
            self._abandon(queue, c, entry, None)
        else:
            yield from self._time_out(queue, c, entry)

    def _abandon(self, queue: Queue, c: Channel, entry: EntryLine, rung: Channel | None) -> None:
        """The caller hangs up while it waits; a phone that rings for it falls silent."""
        floor, by = self.floor, PBX if c.told_to_end else CALLER
        if by == CALLER:
            self.request(c)
        floor.music(c, False)
        if rung is not None:
            for _ in range(2):
                self.dial(c, rung, "DialEnd", DialStatus="CANCEL")
            floor.log(c, queue, rung.caller, "RINGCANCELED", int((floor.work.now - rung.since) * 1000))
        self._given_up(queue, c, entry)
        self.soft(c)
        if self.plan.notes:
            self._note(c, "QueueAbandoned", DID=self.plan.dialed, Number=self.plan.number)
        self._left(queue, entry, "abandoned")
        if rung is not None:
            self.close(rung, 0)
        self.close(c, 0, by=c)
        self.over("abandoned", by)

    def _time_out(self, queue: Queue, c: Channel, entry: EntryLine) -> Steps:
        """The queue gives up on the caller, who is still there."""
        floor = self.floor
        self._given_up(queue, c, entry, music_first=False)
        self._left(queue, entry, "timed_out")
        floor.app_ends(c)
        outcome = "no_answer"
        if self.plan.presses:
            yield from self.wait(1.0)
            self._note(c, "CallbackRequest", Number=self.plan.number, DID=self.plan.dialed, Reason="TIMEOUT")
            outcome = "callback_requested"
        self.soft(c)
        self.close(c, 16)
        self.over(outcome, PBX)

    def _given_up(self, queue: Queue, c: Channel, entry: EntryLine, *, music_first: bool = True) -> None:
        floor, waited = self.floor, int(self.floor.work.now - entry.joined)
        place = queue.waiting.index(c) + 1
        body = f"Queue: {queue.name}\r\nPosition: {place}\r\nOriginalPosition: 1\r\nHoldTime: {waited}\r\n"
        floor.about("QueueCallerAbandon", c, body, "agent")
        if not music_first:
            floor.music(c, False)
        floor.log(c, queue, "NONE", "ABANDON" if music_first else "EXITWITHTIMEOUT", place, 1, waited)
        floor.out(queue, c)

    def _left(self, queue: Queue, entry: EntryLine, outcome: str) -> None:
        entry.left, entry.outcome = self.floor.work.now, outcome
        self.step(f"leaves {queue.name}")

    def _note(self, c: Channel, name: str, **more: str) -> None:
        own = "".join(f"{key}: {value}\r\n" for key, value in more.items())
        self.floor.about("UserEvent", c, f"UserEvent: {name}\r\n{own}", "user")

    # ---------------------------------------------------------------------------------------------------------- ringing

    def _offer(self, queue: Queue, c: Channel, entry: EntryLine, m: Member, ring: Ring, until: float) -> Tried:
        """Ring a member."""
        floor = self.floor
        a = self.open(seat=m.seat, state=DOWN, linked=c)
        queue.rung_for.add(c.uniqueid)
        a.application, a.data = "AppQueue", "(Outgoing Line)"
        offer = OfferLine(seat=m.seat, started=floor.work.now)
        entry.offers.append(offer)
        self.step(f"rings {m.seat}")
        floor.say("AgentCalled", "agent", words.party(c) + words.party(a, "Dest") + words.offered(queue, m), c)
        self.dial(c, a, "DialBegin", DialString=f"PJSIP/{m.seat}")
        self.connected(c, a)
        yield from self.pause(BREATH_S)
        floor.move(a, RINGING)
        self.connected(a, c)
        self.dial(c, a, "DialState", DialStatus="RINGING")
        floor.device(m.seat)
        rings_until = offer.started + (queue.ring_s if ring.does == IGNORE else min(ring.after_s, queue.ring_s))
        while floor.work.now < min(rings_until, until) and not c.told_to_end:
            yield min(rings_until, until) - floor.work.now
        does = IGNORE if until < rings_until or ring.after_s > queue.ring_s else ring.does
        return (yield from self._rang(queue, c, a, entry, offer, m, does, until))

    def _rang(
        self, queue: Queue, c: Channel, a: Channel, entry: EntryLine, offer: OfferLine, m: Member, does: str, until: float
    ) -> Tried:
        """What came of it."""
        floor = self.floor
        offer.ended, rang_s = floor.work.now, floor.work.now - offer.started
        queue.rung_for.discard(c.uniqueid)
        if c.told_to_end or (does == IGNORE and floor.work.now >= until and self.plan.patience_s < queue.max_wait_s):
            offer.result = "caller_left"
            self._abandon(queue, c, entry, a)
            return True
        if does == ANSWER:
            offer.result = "answered"
            yield from self._answered(queue, c, a, entry, m, rang_s)
            return True
        rejected = does == REJECT
        offer.result = "rejected" if rejected else "no_answer"
        self._missed(queue, c, a, m, rejected, rang_s)
        self.step(f"missed by {m.seat}")
        if not rejected:
            yield from self.pause(min(queue.retry_s, until - floor.work.now))
        return False

    def _missed(self, queue: Queue, c: Channel, a: Channel, m: Member, rejected: bool, rang_s: float) -> None:
        floor = self.floor
        if rejected:
            self.request(a, 17, 486)
            self.dial(c, a, "DialEnd", DialStatus="NOANSWER")
        rang_ms = round(rang_s) * 1000 or 1000
        body = words.party(c) + words.party(a, "Dest") + words.offered(queue, m) + f"RingTime: {rang_ms}\r\n"
        floor.say("AgentRingNoAnswer", "agent", body, c)
        floor.log(c, queue, m.name, "RINGNOANSWER", rang_ms)
        if not rejected:
            self.dial(c, a, "DialEnd", DialStatus="NOANSWER")
            self.dial(c, a, "DialEnd", DialStatus="CANCEL")
        self.close(a, *((17, 486) if rejected else (0, 0)), by=a if rejected else None)

    # ---------------------------------------------------------------------------------------------------------- talking

    def _answered(self, queue: Queue, c: Channel, a: Channel, entry: EntryLine, m: Member, rang_s: float) -> Steps:
        floor = self.floor
        floor.move(a, UP)
        self.dial(c, a, "DialEnd", DialStatus="ANSWER")
        floor.music(c, False)
        floor.out(queue, c)
        self._left(queue, entry, "answered")
        floor.guard(m.seat)
        held, rung = int(floor.work.now - entry.joined), int(rang_s)
        body = words.party(c) + words.party(a, "Dest") + words.offered(queue, m)
        floor.say("AgentConnect", "agent", f"{body}HoldTime: {held}\r\nRingTime: {rung}\r\n", c)
        floor.log(c, queue, m.name, "CONNECT", held, a.uniqueid, rung)
        m.taken, m.last_call = m.taken + 1, floor.wall
        self.join(a, c, a, queue.name)
        try:
            rest = yield from self.talk(a, c, self.plan.parts)
        except Gone as gone:
            self._end(queue, c, a, m, body, held, gone.by, first=gone.channel)
            return
        if rest:
            yield from self._pass_on(queue, c, a, m, body, held, rest)
        else:
            self._end(queue, c, a, m, body, held, self.plan.ends, first=a if self.plan.ends == SEAT else c)

    def _end(self, queue: Queue, c: Channel, a: Channel, m: Member, body: str, held: int, by: str, *, first: Channel) -> None:
        """The conversation is over; `first` goes first."""
        floor, b = self.floor, a.bridge
        assert b is not None
        talked = int(floor.work.now - self.line.segments[-1].started)
        if by in (CALLER, SEAT):
            self.request(first)
        word, done = ("agent", "COMPLETEAGENT") if first is a else ("caller", "COMPLETECALLER")
        floor.say("AgentComplete", "agent", f"{body}HoldTime: {held}\r\nTalkTime: {talked}\r\nReason: {word}\r\n", c)
        floor.log(c, queue, m.name, done, held, talked, 1)
        if first is a:
            self.part(b, a, None)
            self.close(a, 16, by=a)
            floor.leave(c)
            floor.say("BridgeDestroy", "call", words.bridge(b))
            self.soft(c)
        else:
            self.part(b, c, a)
            self.soft(c)
            self.close(a, 16, by=c)
        self.close(c, 16, by=first)
        self.over("answered", by)

    def _pass_on(self, queue: Queue, c: Channel, a: Channel, m: Member, body: str, held: int, rest: tuple[Part, ...]) -> Steps:
        """The seat hands the caller to an idle seat and is out of the call; without an idle one it talks on."""
        floor, b, idle = self.floor, a.bridge, self.floor.idle_phones()
        assert b is not None
        if not idle:
            yield from self.pause(sum(part.for_s for part in rest[1:]))
            self._end(queue, c, a, m, body, held, self.plan.ends, first=a if self.plan.ends == SEAT else c)
            return
        to = self.plan.to_seat or floor.rng.choice(idle)
        floor.about("Unhold", a)
        more = words.party(a, "Transferer") + words.party(c, "Transferee") + words.bridge(b)
        floor.say(
            "BlindTransfer", "call", f"Result: Success\r\n{more}IsExternal: Yes\r\nContext: {a.context}\r\nExtension: {to}\r\n", c
        )
        floor.passed_on(a, c, to)
        passed = self.passing(m.seat, to)
        talked = int(floor.work.now - self.line.segments[-1].started)
        floor.say("AgentComplete", "agent", f"{body}HoldTime: {held}\r\nTalkTime: {talked}\r\nReason: transfer\r\n", c)
        floor.log(c, queue, m.name, "BLINDTRANSFER", to, a.context, held, talked, 1)
        self.part(b, c, a)
        floor.app_ends(c)
        self.close(a, 16)
        c.exten, c.context = to, "lingxi-seats"
        floor.app_begins(c, "Dial", f"PJSIP/{to},30,ib(lingxi-plain^s^1)")
        x = self.open(seat=to, state=DOWN, linked=c)
        x.exten = to
        x.application, x.data = "AppDial", "(Outgoing Line)"
        self.connected(x, c)
        yield from self.direct(c, x, to, rest[0].for_s)
        self.join(x, c, x, "")
        passed.result = "completed"
        yield from self.pause(sum(part.for_s for part in rest[1:]))
        self.end_direct(*((x, c) if self.plan.ends == SEAT else (c, x)), self.plan.ends)
        self.over("answered", self.plan.ends)
