"""One line to one PBX: takes in what its driver says, keeps the call board, publishes what happened, and gives it commands in order.

The only loop that feeds the board. Nothing in it waits for the database or a browser: subscribers of the bus that need time take
their own. Commands that repeat one another are folded: only the last wish for a seat is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeVar

import structlog
from msgspec.structs import replace

from crm_core.kernel.bus import Bus
from crm_core.kernel.bus import topic as bus_topic
from crm_core.kernel.clock import Clock
from crm_core.kernel.ids import stable_id
from crm_core.kernel.sentence import Sentence
from cti.domain.board import CallBoard
from cti.events import DomainEvent, PbxLinkChanged
from cti.pbx_events import Booted, LegNamed, LegNow, LegStarted, LinkDown, LinkUp, PbxEvent
from cti.ports import Batch, Member, PbxDriver, PbxRefused, PbxUnreachable
from cti.services.drift import Drift
from cti.services.lag import Lag

log = structlog.get_logger(__name__)
BEAT_S = 2.0
RETRY_S = 1.0
PATIENCE_S = 10.0
SET_BACK_S = 5.0
Told = TypeVar("Told", PbxEvent, LegNow)
LONGEST = 200
_NAMING = frozenset({LegStarted, LegNamed, LegNow})
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def topic(event: DomainEvent) -> str:
    """Where an event is published: unit.<id>.pbx.<id>.<wire name>."""
    return bus_topic(event.unit_id, event.pbx_id, event.WIRE)


def readable(event: Told) -> Told:
    """A leg's event, or a leg of a snapshot, without controls, halves of characters and marks that turn the direction of writing, wherever a caller sent them."""
    if type(event) not in _NAMING:
        return event
    texts = {name: getattr(event, name, "") for name in ("number", "name", "dialed")}
    together = "".join(texts.values())
    if len(together) <= LONGEST and together.isprintable():  # what can be printed holds none of them
        return event
    bad = {
        name: _UNREADABLE.sub("", text)[:LONGEST] for name, text in texts.items() if len(text) > LONGEST or _UNREADABLE.search(text)
    }
    return replace(event, **bad) if bad else event


class PbxLine:
    """A PBX, watched. `members` answers which members its queues should have."""

    def __init__(
        self,
        *,
        unit_id: int,
        pbx_id: int,
        name: str,
        driver: PbxDriver,
        bus: Bus,
        clock: Clock,
        new_id: Callable[[], int],
        members: Callable[[int], Sequence[Member]],
        secrets: Callable[[int], Sequence[tuple[str, str]]] = lambda _: (),
        keep_position: Callable[[int, str, str], None] = lambda *_: None,
    ) -> None:
        self.unit_id, self.pbx_id, self.name = unit_id, pbx_id, name
        self.driver = driver
        self.up = False
        self.why = ""
        self.since: float | None = None
        self.lag = Lag()
        self.replaying = False  # what is being published now was read back from the journal
        self.on_agreed: Callable[[PbxLine, float | None], None] = lambda *_: None
        self._late = False
        self._bus, self._clock = bus, clock
        self._members, self._secrets, self._keep_position = members, secrets, keep_position
        self.board: CallBoard = CallBoard(unit_id, pbx_id, "", new_id, self._recall)
        self._position = ""
        self._said_at: float | None = None  # up to when the PBX was heard, by its own clock
        self._links = 0  # how often the link came or went
        self._news = asyncio.Event()
        self._rejoining: asyncio.Task[None] | None = None
        self._wishes: dict[str, Sequence[Member]] = {}  # by extension
        self._drops: dict[tuple[str, str], None] = {}
        self._wished = asyncio.Event()
        self.drift = Drift(name, driver, self.board, self._agree)

    def _recall(self, pbx_call: str) -> int:
        """A call's identifier follows from what the PBX calls it, so that it is the same after a restart of ours."""
        return stable_id(self.pbx_id, self.board.epoch, pbx_call, self._clock.now())

    async def run(self) -> None:
        """Watch the PBX for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(group))
            for work in (self._command, self._beat, lambda: self.drift.run(lambda: self.up)):
                group.create_task(self._endure(work))

    async def _endure(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Work that begins anew should a fault of ours end it: one line's fault takes neither the line nor the product along."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("work for the PBX failed and begins anew", pbx=self.name)
                await asyncio.sleep(RETRY_S)

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        async for batch in self.driver.run():
            self._take(batch)
            if batch.of_link and not batch.rebuilt and any(isinstance(event, LinkUp) for event in batch.events):
                if self._rejoining is not None:
                    self._rejoining.cancel()
                self._rejoining = group.create_task(self._rejoin())

    def _take(self, batch: Batch) -> None:
        self.replaying = batch.rebuilt
        if not batch.rebuilt and (at := next((e.at for e in reversed(batch.events) if e.at is not None), None)) is not None:
            self.lag.heard(at, self._clock.now())
        for event in map(readable, batch.events):
            kind = type(event)
            if kind is LinkUp or kind is LinkDown:
                self._links += 1
            elif event.at is not None and not batch.unheard and kind is not Booted:
                self._said_at = event.at
            try:
                self._publish(self.board.apply(event, unheard=batch.unheard))
            except Exception:  # the next comparison with the PBX finds what is wrong by it
                log.exception("an event of the PBX could not be taken in", pbx=self.name, kind=type(event).__name__)
        self.replaying = False
        self._news.set()
        if batch.position != self._position:  # what is told of a gap stands where the gap begins, with the boot of before
            self._position = batch.position
            self.board.reached(self.board.epoch, batch.position)
        if batch.position:
            self._keep_position(self.pbx_id, *self.board.needed_from)

    def _publish(self, events: Sequence[DomainEvent]) -> None:
        for event in events:
            if isinstance(event, PbxLinkChanged):
                self.up, self.why, self.since = event.up, event.why, event.at if event.at is not None else self._clock.now()
                log.info("the link to the PBX is up" if event.up else "the link to the PBX is down", pbx=self.name, why=event.why)
            self._bus.publish(topic(event), event)

    async def _agree(self) -> None:
        """Make the board what the PBX says it should be, and with it the seats."""
        links = self._links
        now = await self.driver.snapshot()
        await self._heard_until(now.at, links)
        self._publish(self.board.reconcile(replace(now, legs=tuple(map(readable, now.legs)))))
        self.on_agreed(self, now.at)

    async def _heard_until(self, at: float | None, links: int) -> None:
        """Wait until all is taken in that the PBX said by then: a look at it may be far ahead of what was heard.

        However far behind we are, we wait as long as it comes nearer: a look taken in too early would end what is yet to be told.
        Raises PbxUnreachable where it will not be heard, because the link was lost before.
        """
        while at is not None and links == self._links and (self._said_at is None or self._said_at < at):
            before = self._said_at
            if not await self._says_more(before, links):
                break
            if before is not None and self._said_at is not None and self._said_at < before - SET_BACK_S:
                break  # its clock was set back meanwhile
        if links != self._links:
            raise PbxUnreachable("The PBX did not answer: {why}.", why=Sentence("the link broke"))

    async def _says_more(self, before: float | None, links: int) -> bool:
        """Wait until the PBX is heard further than `before`, or the link changes; False where it says nothing any more."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self._said_at == before and links == self._links:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _rejoin(self) -> None:
        """After the link came up: take the whole state, make the members what they should be."""
        for attempt in range(5):
            try:
                await self._agree()
                await self.driver.set_members(self._members(self.pbx_id))
                for extension, secret in self._secrets(self.pbx_id):
                    await self.driver.set_phone_secret(extension, secret)
                await self.driver.heartbeat(True)
            except PbxRefused as refusal:
                log.warning("the PBX's state could not be read", pbx=self.name, why=refusal.say, attempt=attempt)
            except Exception:
                log.exception("the PBX's state could not be taken in", pbx=self.name, attempt=attempt)
            else:
                return
            await asyncio.sleep(RETRY_S)

    # ------------------------------------------------------------------------------------------------------------ commands

    def want_members(self, members: Sequence[Member]) -> None:
        """A seat should be in these queues, like this. Sent in the background, retried until the PBX took it."""
        for member in members:
            self._drops.pop((member.queue, member.extension), None)
        if members:
            self._wishes[members[0].extension] = members
            self._wished.set()

    def drop_member(self, queue: str, extension: str) -> None:
        """The queue should not have this member."""
        self._wishes.pop(extension, None)
        self._drops[(queue, extension)] = None
        self._wished.set()

    async def _command(self) -> None:
        while True:
            await self._wished.wait()
            self._wished.clear()
            while self._wishes or self._drops:
                if self._drops:
                    (queue, extension), _ = self._drops.popitem()
                    taken = await self._carry_out(self.driver.drop_member(queue, extension), extension)
                else:
                    extension = next(iter(self._wishes))
                    taken = await self._carry_out(self.driver.put_members(self._wishes.pop(extension)), extension)
                if not taken:
                    break  # on the next link up all members are set anew

    async def _carry_out(self, command: Coroutine[None, None, None], extension: str) -> bool:
        try:
            await command
        except PbxUnreachable:
            return False
        except PbxRefused as refusal:
            log.warning("the PBX refused a change of a queue's member", pbx=self.name, extension=extension, why=refusal.say)
        return True

    async def _beat(self) -> None:
        while True:
            self._mind_the_lag()
            if self.up:
                try:
                    await self.driver.heartbeat(True)
                except PbxRefused as refusal:
                    log.warning("the PBX did not take the heartbeat", pbx=self.name, why=refusal.say)
            await asyncio.sleep(BEAT_S)

    def _mind_the_lag(self) -> None:
        late = self.up and self.lag.alarming(self._clock.now())
        if late != self._late:
            self._late = late
            said = "the PBX's events come late" if late else "the PBX's events come in time again"
            log.warning(said, pbx=self.name, seconds=round(self.lag.seconds, 1), clocks_apart_s=round(self.lag.apart_s, 1))

    async def close(self) -> None:
        """Leave the PBX to itself: it goes on alone until we come back."""
        if self.up:
            try:
                await self.driver.heartbeat(False)
            except PbxRefused as refusal:
                log.warning("the PBX could not be told that we stop", pbx=self.name, why=refusal.say)
        await self.driver.close()
