"""Many synthetic calls in virtual time, through the code that hears a PBX, compared with the ledger: no process, no socket, no fault
but those of telling: twice, and in another order."""

from __future__ import annotations

import random

import pytest

from cti.pbx.replay import replay
from tests.chaos.booked import of_fact
from tests.chaos.compare import Truth, compare
from tests.synthetic.exchange import Exchange
from tests.synthetic.faults import Manner, Mouth
from tests.synthetic.floor import Queue
from tests.synthetic.plans import Mix, draw

START = 1_795_309_340.0
SEATS = [str(8000 + n) for n in range(40)]


def run(calls: int, seed: int, manner: Manner) -> tuple[Truth, str]:
    """Let so many people call, in virtual time; the ledger, and what was said."""
    truth, mouth = Truth(), Mouth(seed)
    mouth.manner = manner
    queues = [Queue(name="first", ring_s=2.0), Queue(name="second", ring_s=2.0), Queue(name="empty", max_wait_s=4.0)]
    pbx: Exchange
    pbx = Exchange(
        lambda kind, text, key: mouth.say(pbx.work.now, kind, text, key),
        truth.take,
        start=START,
        queues=queues,
        phones=SEATS,
        seed=seed,
    )
    for n, seat in enumerate(SEATS):
        for queue in ("first", "second")[n % 2 :]:
            pbx.actions.carry_out(
                {"Action": "QueueAdd", "Queue": queue, "Interface": f"PJSIP/{seat}", "MemberName": f"Agent {seat}"}
            )
    plans, rng, at = draw(Mix(queues=("first", "second"), empty="empty"), random.Random(seed)), random.Random(seed), 0.0
    for _ in range(calls):
        at += rng.expovariate(12.0)
        pbx.place(next(plans), at)
    pbx.work.run(START + at + 3600)
    return truth, "".join(text for _, text in mouth.due(float("inf")))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "manner", [Manner(), Manner(repeat=0.3), Manner(reorder_s=0.05), Manner(repeat=0.3, reorder_s=0.05)], ids=str
)
def test_every_call_is_told_as_it_was(seed: int, manner: Manner) -> None:
    truth, said = run(250, seed, manner)
    found = replay(said.encode().splitlines(keepends=True))
    for call in truth.calls:
        call["epoch"] = ""  # a bare stream names no boot
    verdict = compare(truth, [of_fact(fact) for fact in found.calls])
    assert len(truth.calls) > 240 and found.still_open == 0 and found.garbage == []
    assert not verdict.differences, f"seed {seed}\n{verdict.table()}"
