"""`events`: from the PBX's bytes to what the product says happened, on one core, beside two programs that hear an Asterisk as well.

Ours is the whole way of a live byte in one process, but for sockets: onto the journal, off it again, parsed, translated, onto the board.
The floors get the same bytes in the same pieces: panoramisk, which parses and throws away, and cacofonisk on top of it, which tracks
channels with a reporter that reports nothing. What is counted is processor time, so that who else is at work on the machine counts little.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from config.bench.processes import HelperFailed
from config.bench.results import Result, Tell
from config.bench.streams import CLEAN_EVENTS, NOISY_EVENTS, stream
from config.bench.watch import Watch
from config.tidy import set_up
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.ids import IdMaker
from cti.domain.board import CallBoard
from cti.events import CallEnded
from cti.pbx.asterisk.ami_wire import Parser
from cti.pbx.asterisk.journal import Tail, Writer
from cti.pbx.asterisk.translate import Translator
from cti.pbx_events import PbxEvent
from cti.services.lines import readable

Way = Callable[[Sequence[bytes]], tuple[float, int]]
"""Takes a stream; processor seconds, and how many calls it saw to their end (for who doesn't say: how many it has not left open)."""
REACH: Final = {"events.clean": 2.0, "events.noisy": 3.0}
TRACKER_REACH: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much."""

    clean_calls: int
    noisy_calls: int
    rounds: int
    most_tries: int


@dataclass(slots=True)
class Round:
    """What was measured in one go on one stream, in seconds: ours, panoramisk's, cacofonisk's; and the calls that ours finished."""

    ours: float
    parser: float
    tracker: float
    finished: int


@dataclass(slots=True)
class Stream:
    """A stream and what was measured on it."""

    name: str
    calls: int
    pieces: list[bytes]
    events: int
    good: list[Round] = field(default_factory=list)
    noisy: list[Round] = field(default_factory=list)


async def measure(folder: Path, tell: Tell, *, quick: bool) -> list[Result]:
    """Run the bench."""
    parser, tracker = floors()
    plan = (
        Plan(clean_calls=100, noisy_calls=50, rounds=1, most_tries=1)
        if quick
        else Plan(clean_calls=1500, noisy_calls=600, rounds=7, most_tries=25)
    )
    streams = [_made("events.clean", plan.clean_calls, CLEAN_EVENTS), _made("events.noisy", plan.noisy_calls, NOISY_EVENTS)]
    ours = Chain(folder / "events")
    set_up()  # Python's memory as in the product, for all three
    watch = Watch()
    await watch.start()
    try:
        for way in (ours.run, parser, tracker):
            way(stream(50, noisy=True))
        for _ in range(plan.most_tries):
            await watch.begin_span()
            found = [_round(one, ours.run, parser, tracker) for one in streams]
            quiet = await watch.end_span()
            for one, how in zip(streams, found, strict=True):
                (one.good if quiet else one.noisy).append(how)
            tell("; ".join(f"{one.name}: {one.events / how.ours:,.0f} events/s, {how.parser / how.ours:.2f} x panoramisk, {how.tracker / how.ours:.2f} x cacofonisk"
                           for one, how in zip(streams, found, strict=True)) + ("" if quiet else "; too noisy, does not count"))  # fmt: skip
            if len(streams[0].good) == plan.rounds:
                break
    finally:
        await watch.stop()
    return [result for one in streams for result in _results(one, plan, watch)]


def _made(name: str, calls: int, events: int) -> Stream:
    return Stream(name=name, calls=calls, pieces=stream(calls, noisy=events == NOISY_EVENTS), events=calls * events)


def _round(one: Stream, ours: Way, parser: Way, tracker: Way) -> Round:
    took = {}
    for way in (ours, parser, tracker):
        gc.collect()
        took[way] = way(one.pieces)
    if took[tracker][1]:
        raise HelperFailed("cacofonisk did not understand the stream.")
    return Round(ours=took[ours][0], parser=took[parser][0], tracker=took[tracker][0], finished=took[ours][1])


# ----------------------------------------------------------------------------------------------------------------- the ways


class Chain:
    """The product's own way of a byte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, pieces: Sequence[bytes]) -> tuple[float, int]:
        """Seconds, and how many calls were finished."""
        shutil.rmtree(self._folder, ignore_errors=True)
        writer = Writer(self._folder, lambda _sentence: None)
        tail = Tail(self._folder, writer.position)
        parser, translator = Parser(Translator.WANTED), Translator()
        board = CallBoard(1, 1, "bench", IdMaker(SystemClock()))
        finished = 0
        begun = time.process_time()
        for piece in pieces:
            writer.write(piece)
            for data, _ in tail.read(writer.position):
                heard: list[PbxEvent] = []  # a batch, as the driver hands it on
                for message in parser.feed(data):
                    heard += translator.feed(message)
                for event in map(readable, heard):
                    for told in board.apply(event):
                        finished += type(told) is CallEnded
        took = time.process_time() - begun
        tail.close()
        writer.close()
        shutil.rmtree(self._folder)
        return took, finished


class Ear:
    """What panoramisk's connection tells its events to."""

    save_stream = None

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self.dispatch = hear


def floors() -> tuple[Way, Way]:
    """Panoramisk, and cacofonisk on top of it."""
    try:
        from cacofonisk.handlers import EventHandler
        from cacofonisk.reporters import BaseReporter
        from panoramisk.ami_protocol import AMIProtocol
    except ImportError as missing:
        raise HelperFailed(
            "There is nothing to be measured against: panoramisk and cacofonisk come with `make setup-dev`."
        ) from missing

    def hear(pieces: Sequence[bytes], ear: Ear) -> float:
        protocol = AMIProtocol()
        protocol.connection_made(None)
        protocol.encoding, protocol.factory = "utf8", ear
        begun = time.process_time()
        for piece in pieces:
            protocol.data_received(piece)
        return time.process_time() - begun

    def parser(pieces: Sequence[bytes]) -> tuple[float, int]:
        return hear(pieces, Ear(lambda _message: None)), 0

    def tracker(pieces: Sequence[bytes]) -> tuple[float, int]:
        handler = EventHandler(BaseReporter())
        wanted = frozenset(handler.event_handlers())

        def track(message: Any) -> None:
            if message["Event"] in wanted:
                handler.on_event(message)

        return hear(pieces, Ear(track)), len(handler._channels)

    return parser, tracker


# ---------------------------------------------------------------------------------------------------------------- results


def _results(one: Stream, plan: Plan, watch: Watch) -> list[Result]:
    rounds = one.good or one.noisy
    whole = all(how.finished == one.calls for how in rounds)
    speed = median(one.events / how.ours for how in rounds)
    common: dict[str, Any] = {
        "value": round(speed), "unit": "events/s", "runs": len(rounds), "noise": watch.heard(), "void": len(one.good) < plan.rounds,
    }  # fmt: skip
    parser, tracker = median(how.parser / how.ours for how in rounds), median(how.tracker / how.ours for how in rounds)
    return [
        Result(
            name=one.name, floor=round(median(one.events / how.parser for how in rounds)), ratio=round(parser, 2),
            reach=f">= {REACH[one.name]:g} x panoramisk's parsing", met=whole and parser >= REACH[one.name],
            parts={"us_a_call": round(median(how.ours for how in rounds) / one.calls * 1e6), "finished": rounds[-1].finished, "calls": one.calls,
                   "each": [round(how.parser / how.ours, 2) for how in rounds]},
            **common,
        ),
        Result(
            name=f"{one.name}.tracker", floor=round(median(one.events / how.tracker for how in rounds)), ratio=round(tracker, 2),
            reach=f">= {TRACKER_REACH:g} x cacofonisk", met=whole and tracker >= TRACKER_REACH,
            parts={"each": [round(how.tracker / how.ours, 2) for how in rounds]},
            **common,
        ),
    ]  # fmt: skip
