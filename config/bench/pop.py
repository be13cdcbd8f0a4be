"""`pop`: from the bytes that leave the PBX to the message in the right console's socket, and what that costs.

Sign-in, rights, journal, look-up and the books are on, as they are at work. Each pair of runs takes the product first and the bare relay
after it, with the same arrivals; a pair counts only if the machine was quiet in both. A nap that wakes in time says little of a loop that
has work to do all the time, so it must also not have stood in line for a core: on a machine that others use, it is their work one measures.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from config.bench.noise import percentile
from config.bench.results import Result, Tell
from config.bench.rig import ProductSide, RelaySide, Seen, Size
from config.bench.watch import Watch

WAITED: Final = 0.25
"""The part of its time that the product's loop may have been ready to run without a core."""
WHOLE: Final = Size(consoles=3000, customers=1_000_000, callers=60_000)
QUICK: Final = Size(consoles=100, customers=20_000, callers=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how hard."""

    pairs: int
    rate: float
    seconds: float
    relay_seconds: float
    burst_rate: float
    burst_seconds: float
    talk_s: float
    most_tries: int


FULL_PLAN: Final = Plan(pairs=5, rate=100, seconds=16, relay_seconds=10, burst_rate=300, burst_seconds=10, talk_s=3, most_tries=15)
QUICK_PLAN: Final = Plan(pairs=1, rate=20, seconds=3, relay_seconds=2, burst_rate=40, burst_seconds=2, talk_s=0.5, most_tries=1)


@dataclass(slots=True)
class Found:
    """Everything that was seen. `pairs` are the ones that count."""

    pairs: list[tuple[Seen, Seen]] = field(default_factory=list)
    noisy: list[tuple[Seen, Seen]] = field(default_factory=list)
    burst: Seen = field(default_factory=Seen)


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    size, plan = (QUICK, QUICK_PLAN) if quick else (WHOLE, FULL_PLAN)
    watch, found = Watch(), Found()
    product = await ProductSide.make(folder, size, tell)
    relay = RelaySide(product.seats, product.numbers)
    async with AsyncExitStack() as stack:
        for part in (watch, product, relay):
            stack.push_async_callback(part.stop)
        tell("Starting the synthetic PBXs, the product, the relay and their consoles")
        await product.start()
        await relay.start()
        await watch.start()
        await product.calls(rate=plan.rate / 2, seconds=min(plan.seconds, 4), talk_s=plan.talk_s, seed=0)
        await relay.calls(rate=plan.rate / 2, seconds=1, talk_s=plan.talk_s, seed=0)
        await _pairs(plan, product, relay, watch, found, tell)
        tell(f"{plan.burst_rate:g} calls a second")
        found.burst = await product.measured_calls(rate=plan.burst_rate, seconds=plan.burst_seconds, talk_s=plan.talk_s, seed=99)
        return _results(plan, found, watch)


async def _pairs(plan: Plan, product: ProductSide, relay: RelaySide, watch: Watch, found: Found, tell: Tell) -> None:
    for seed in range(1, plan.most_tries + 1):
        await watch.begin_span()
        ours = await product.measured_calls(rate=plan.rate, seconds=plan.seconds, talk_s=plan.talk_s, seed=seed)
        bare = await relay.calls(rate=plan.rate, seconds=plan.relay_seconds, talk_s=plan.talk_s, seed=seed)
        quiet = await watch.end_span() and ours.waited <= WAITED
        (found.pairs if quiet else found.noisy).append((ours, bare))
        tell(
            f"pair {seed}: p50 {percentile(ours.latencies_ms, 0.5):.2f} ms, p99 {percentile(ours.latencies_ms, 0.99):.2f} ms; relay "
            f"{percentile(bare.latencies_ms, 0.5):.2f} and {percentile(bare.latencies_ms, 0.99):.2f} ms; {ours.cpu * 100:.0f} % of a core, "
            f"{ours.waited * 100:.0f} % waiting for one; "
            f"{ours.messages / max(ours.placed, 1):.0f} messages a call" + ("" if quiet else "; too noisy, does not count")
        )
        if len(found.pairs) == plan.pairs:
            return


def _results(plan: Plan, found: Found, watch: Watch) -> list[Result]:
    void = len(found.pairs) < plan.pairs
    pairs = found.pairs or found.noisy
    everything = [ours for ours, _ in [*found.pairs, *found.noisy]] + [found.burst]
    common: dict[str, Any] = {"runs": len(pairs), "noise": watch.heard(), "void": void}
    wrong, cards = sum(s.wrong for s in everything), sum(s.cards for s in everything)
    return [
        _latency("pop.p50", 0.5, pairs, common, "p50 <= 2 ms"),
        _latency("pop.p99", 0.99, pairs, common, "p99 <= 5 x the bare relay"),
        Result(
            name="pop.wrong", value=wrong, unit="consoles", reach="0", met=wrong == 0 and not sum(s.wrong_cards for s in everything), **common,
            parts={"pops": sum(s.placed for s in everything), "cards": cards, "wrong_cards": sum(s.wrong_cards for s in everything)},
        ),
        _lost(plan, found, everything, common),
        _processor(pairs, common),
    ]  # fmt: skip


def _latency(name: str, share: float, pairs: list[tuple[Seen, Seen]], common: dict[str, Any], reach: str) -> Result:
    ours = [percentile(one.latencies_ms, share) for one, _ in pairs]
    bare = [percentile(other.latencies_ms, share) for _, other in pairs]
    value, ratio = median(ours), median(a / b for a, b in zip(ours, bare, strict=True))
    return Result(
        name=name, value=round(value, 3), unit="ms", floor=round(median(bare), 3), ratio=round(ratio, 2), reach=reach,
        met=value <= 2 if share == 0.5 else ratio <= 5, parts={"each": [round(v, 2) for v in ours], "bare": [round(v, 2) for v in bare]},
        **common,
    )  # fmt: skip


def _lost(plan: Plan, found: Found, everything: list[Seen], common: dict[str, Any]) -> Result:
    lost = sum(s.lost + s.starved + s.cut for s in everything)
    return Result(
        name="pop.lost", value=lost, unit="pops", reach=f"0, also at {plan.burst_rate:g} calls/s", met=lost == 0,
        parts={"burst_pops": found.burst.placed, "burst_lost": found.burst.lost, "burst_starved": found.burst.starved,
               "burst_p50_ms": round(percentile(found.burst.latencies_ms, 0.5), 2), "burst_p99_ms": round(percentile(found.burst.latencies_ms, 0.99), 2),
               "burst_core": round(found.burst.cpu + found.burst.cpu_reader, 3), "sockets_cut": sum(s.cut for s in everything)},
        **common,
    )  # fmt: skip


def _processor(pairs: list[tuple[Seen, Seen]], common: dict[str, Any]) -> Result:
    used = median(ours.cpu + ours.cpu_reader for ours, _ in pairs)
    return Result(
        name="pop.core", value=round(used, 3), unit="cores", reach="<= 0.4 at 100 calls/s", met=used <= 0.4,
        parts={"main": round(median(o.cpu for o, _ in pairs), 3), "reader": round(median(o.cpu_reader for o, _ in pairs), 3), "waited": round(median(o.waited for o, _ in pairs), 3),
               "messages_a_call": round(median(o.messages / max(o.placed, 1) for o, _ in pairs), 1)},
        **common,
    )  # fmt: skip
