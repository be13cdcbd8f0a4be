"""`events`: from the PBX's bytes to what the product says happened, on one core, beside two programs that hear an Asterisk as well.

Ours is the whole way of a live byte in one process, but for sockets: onto the journal, off it again, parsed, translated, onto the board.
The floors get the same bytes in the same pieces: panoramisk, which parses and throws away, and cacofonisk on top of it, which tracks
channels with a reporter that reports nothing. The three take turns many times within a stream, and what is counted is processor time, so
that what else goes on on the machine falls on all alike.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

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

TURN: Final = 2  # pieces of a stream until the next has its turn
REACH: Final = {"events.clean": 2.0, "events.noisy": 3.0}
TRACKER_REACH: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much."""

    clean_calls: int
    noisy_calls: int
    rounds: int
    most_tries: int


class Way(Protocol):
    """A program that hears a stream from its beginning to its end."""

    def feed(self, pieces: Sequence[bytes]) -> None:
        """Take in what comes next."""

    def close(self) -> None:
        """The stream has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
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
    parser, tracker = floors()  # said at once if there are none
    plan = (
        Plan(clean_calls=100, noisy_calls=50, rounds=1, most_tries=1)
        if quick
        else Plan(clean_calls=1500, noisy_calls=600, rounds=7, most_tries=25)
    )
    streams = [_made("events.clean", plan.clean_calls, CLEAN_EVENTS), _made("events.noisy", plan.noisy_calls, NOISY_EVENTS)]
    set_up()  # Python's memory as in the product, for all three
    watch = Watch()
    await watch.start()
    try:
        for _ in range(plan.most_tries):
            await watch.begin_span()
            found = [_round(one, Chain(folder / "events"), parser(), tracker()) for one in streams]
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


def _round(one: Stream, ours: Chain, parser: Way, tracker: Tracker) -> Round:
    took = [0.0, 0.0, 0.0]
    gc.collect()
    for first in range(0, len(one.pieces), TURN):
        pieces = one.pieces[first : first + TURN]
        for place, way in enumerate((ours, parser, tracker)):
            begun = time.process_time()
            way.feed(pieces)
            took[place] += time.process_time() - begun
    for way in (ours, parser, tracker):
        way.close()
    if tracker.open:
        raise HelperFailed("cacofonisk did not understand the stream.")
    return Round(ours=took[0], parser=took[1], tracker=took[2], finished=ours.finished)


# ----------------------------------------------------------------------------------------------------------------- the ways


class Chain:
    """The product's own way of a byte."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._folder, self._writer = folder, Writer(folder, lambda _sentence: None)
        self._tail = Tail(folder, self._writer.position)
        self._parser, self._translator = Parser(Translator.WANTED), Translator()
        self._board = CallBoard(1, 1, "bench", IdMaker(SystemClock()))
        self.finished = 0

    def feed(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._writer.write(piece)
            for data, _ in self._tail.read(self._writer.position):
                heard: list[PbxEvent] = []  # a batch, as the driver hands it on
                for message in self._parser.feed(data):
                    heard += self._translator.feed(message)
                for event in map(readable, heard):
                    for told in self._board.apply(event):
                        self.finished += type(told) is CallEnded

    def close(self) -> None:
        self._tail.close()
        self._writer.close()
        shutil.rmtree(self._folder)


class Ear:
    """What panoramisk's connection tells its events to."""

    save_stream = None

    def __init__(self, hear: Callable[[Any], None]) -> None:
        self.dispatch = hear


class Bare:
    """A connection of panoramisk's without a socket; its events are told to `hear`."""

    def __init__(self, protocol: Any, hear: Callable[[Any], None]) -> None:
        protocol.connection_made(None)
        protocol.encoding, protocol.factory = "utf8", Ear(hear)
        self._protocol = protocol

    def feed(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            self._protocol.data_received(piece)

    def close(self) -> None:
        self._protocol.queue.clear()


class Tracker(Bare):
    """The same, with cacofonisk to listen."""

    def __init__(self, protocol: Any, handler: Any) -> None:
        wanted = frozenset(handler.event_handlers())  # as its own connection does, it asks for these alone

        def track(message: Any) -> None:
            if message["Event"] in wanted:
                handler.on_event(message)

        super().__init__(protocol, track)
        self._handler = handler

    @property
    def open(self) -> int:
        """How many channels it believes to be there."""
        return len(self._handler._channels)


def floors() -> tuple[Callable[[], Way], Callable[[], Tracker]]:
    """What makes a panoramisk, and a cacofonisk on top of it. Raises HelperFailed where they are not installed."""
    try:
        from cacofonisk.handlers import EventHandler
        from cacofonisk.reporters import BaseReporter
        from panoramisk.ami_protocol import AMIProtocol
    except ImportError as missing:
        raise HelperFailed(
            "There is nothing to be measured against: panoramisk and cacofonisk come with `make setup-dev`."
        ) from missing
    return lambda: Bare(AMIProtocol(), lambda _message: None), lambda: Tracker(AMIProtocol(), EventHandler(BaseReporter()))


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
