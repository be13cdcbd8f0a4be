"""Calls without a queue: one seat's phone dials another, and a seat is made to dial somebody outside."""

from __future__ import annotations

from tests.synthetic.clockwork import Steps
from tests.synthetic.floor import DOWN, RING, RINGING, UP, Channel
from tests.synthetic.plans import CALLER, REJECT, SEAT
from tests.synthetic.script import BREATH_S, Gone, Script


class Internal(Script):
    """A seat dials a seat. The conversation counts for the one that was called. `ends`: CALLER or SEAT, the called one."""

    def steps(self) -> Steps:
        floor, plan = self.floor, self.plan
        idle = floor.idle_phones()
        if len(idle) < 2:
            return
        one, other = (plan.seat, plan.to_seat) if plan.seat else floor.rng.sample(idle, 2)
        x = self.open(seat=one, state=RING, exten=other)
        self.begin(x, "internal", one, other)
        yield from self.pause(BREATH_S)
        floor.app_begins(x, "Dial", f"PJSIP/{other},30,ib(lingxi-plain^s^1)")
        y = self.open(seat=other, state=DOWN, linked=x)
        y.exten = other
        y.application, y.data = "AppDial", "(Outgoing Line)"
        self.connected(y, x)
        floor.device(one)
        yield from self.direct(x, y, other, plan.rings[0].after_s)
        floor.move(x, UP)
        floor.device(other)
        self.join(y, x, y, "")
        ends = plan.ends
        try:
            yield from self.talk(y, x, plan.parts)
        except Gone as gone:
            ends = gone.by
        self.end_direct(*((y, x) if ends == SEAT else (x, y)), ends)
        self.over("answered", ends)


class Outgoing(Script):
    """A seat's phone is rung by an action, and once it is picked up somebody outside is dialled. The first of `rings` is the one
    outside: it answers or is busy. `ends`: SEAT is the dialling seat, CALLER the one outside."""

    def steps(self) -> Steps:
        floor, plan = self.floor, self.plan
        idle = floor.idle_phones()
        if not idle:
            return
        seat = plan.seat or floor.rng.choice(idle)
        a = self.open(seat=seat, state=DOWN, uniqueid=plan.uniqueid or f"click-{floor.rng.getrandbits(48)}")
        self.begin(a, "outbound", seat, plan.number)
        a.number, a.caller = plan.number, plan.name or plan.number
        self._named(a)
        a.other_number = a.other = plan.number
        floor.about("NewConnectedLine", a)
        self.dial(None, a, "DialBegin", DialString=seat)
        yield from self.pause(BREATH_S)
        floor.move(a, RINGING)
        floor.device(seat)
        self.dial(None, a, "DialState", DialStatus="RINGING")
        yield from self.pause(0.05)
        a.application, a.data = "AppDial2", "(Outgoing Line)"
        floor.move(a, UP)
        self.dial(None, a, "DialEnd", DialStatus="ANSWER")
        self._said(a)
        a.number, a.exten = "5550000", plan.number
        self._named(a)
        floor.app_begins(a, "Dial", f"PJSIP/{plan.number}@{floor.trunk},60,ib(lingxi-outleg^s^1)")
        yield from self.pause(BREATH_S)
        yield from self._outside(a)

    def _outside(self, a: Channel) -> Steps:
        floor, plan = self.floor, self.plan
        t = self.open(state=DOWN, linked=a)
        t.application, t.data = "AppDial", "(Outgoing Line)"
        t.number, t.caller = plan.number, plan.name or plan.number
        t.exten, t.other_number = plan.number, a.number
        self._named(t)
        floor.about("NewConnectedLine", t)
        self.dial(a, t, "DialBegin", DialString=f"{plan.number}@{floor.trunk}")
        self.step("rings outside")
        first = plan.rings[0]
        if first.does == REJECT:
            yield from self.pause(first.after_s)
            self.request(t, 17, 486)
            self.dial(a, t, "DialEnd", DialStatus="BUSY")
            self.close(t, 17, 486, by=t)
            self.soft(a)
            self.close(a, 17)
            self.over("busy", CALLER)
            return
        yield from self.pause(BREATH_S)
        floor.move(t, RINGING)
        self.dial(a, t, "DialState", DialStatus="RINGING")
        yield from self.pause(first.after_s)
        floor.move(t, UP)
        self.dial(a, t, "DialEnd", DialStatus="ANSWER")
        self.join(t, a, a, "")
        ends = plan.ends
        try:
            yield from self.talk(a, t, plan.parts)
        except Gone as gone:
            ends = gone.by
        self.end_direct(*((t, a) if ends == CALLER else (a, t)), ends)
        self.over("answered", ends)

    def _named(self, c: Channel) -> None:
        self.floor.about("NewCallerid", c, "CID-CallingPres: 0 (Presentation Allowed, Not Screened)\r\n")

    def _said(self, a: Channel) -> None:
        body = f"Response: Success\r\nChannel: {a.name}\r\nContext: lingxi-click\r\nExten: {self.plan.number}\r\nReason: 4\r\n"
        more = f"Uniqueid: {a.uniqueid}\r\nCallerIDNum: {a.number}\r\nCallerIDName: {a.caller}\r\n"
        self.floor.say("OriginateResponse", "call", body + more, a)
