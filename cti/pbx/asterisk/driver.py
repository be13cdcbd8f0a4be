"""The line to an Asterisk: `cti.ports.PbxDriver` over AMI, with ARI for what AMI can't.

Hears through the reader's journal and speaks over a connection of its own; joins the parts and holds no state of calls. A command
that Asterisk took changes nothing here: the events tell.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from cti.pbx.asterisk.ami_actions import (
    Action,
    BridgeList,
    CoreShowChannels,
    CoreStatus,
    DeviceStateList,
    Getvar,
    Hangup,
    Originate,
    Ping,
    QueueAdd,
    QueuePause,
    QueuePenalty,
    QueueRemove,
    QueueStatus,
    Reload,
    Setvar,
    Status,
)
from cti.pbx.asterisk.ami_wire import Message, Parser
from cti.pbx.asterisk.ari import Ari
from cti.pbx.asterisk.channel_names import ExtensionOf, digits_are_seats, extension_at
from cti.pbx.asterisk.commander import Commander
from cti.pbx.asterisk.gaps import Gaps
from cti.pbx.asterisk.journal import Tail, place
from cti.pbx.asterisk.provision import CALLER_ID_VARIABLE, CLICK_CONTEXT, HEARTBEAT, guard_lifted
from cti.pbx.asterisk.reader import ReaderSettings
from cti.pbx.asterisk.reader_link import Hello, ReaderLink, ReaderLost
from cti.pbx.asterisk.snapshot import UP, clock_of, epoch_of, legs_of, members_of, pairs_of, phones_of, waits_of
from cti.pbx.asterisk.translate import Translator
from cti.pbx_events import Booted, LinkDown, LinkUp, PbxEvent, Snapshot
from cti.ports import Batch, Capability, Member, PbxRefused

log = structlog.get_logger(__name__)
RING_S: Final = 30
ASK_AGAIN_S: Final = 2.0
_DIALABLE: Final = re.compile(r"\+?[0-9*#]{1,32}")
_ALL: Final = (
    Capability.QUEUES
    | Capability.RECORDING
    | Capability.ORIGINATE
    | Capability.HANG_UP
    | Capability.HOLD
    | Capability.TRANSFER
    | Capability.PROVISION
    | Capability.BROWSER_PHONE
)


class AsteriskDriver:
    """One Asterisk. `start_at` is a journal position to read on from ("" = hear only what comes from now on)."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        user: str,
        secret: str,
        journal: Path,
        ari: Ari | None = None,
        start_at: str = "",
        extension_of: ExtensionOf = digits_are_seats,
        keep_days: float = 7.0,
        orphan_s: float = 600.0,
        books: Path | None = None,
    ) -> None:
        self._reader = ReaderLink(
            ReaderSettings(
                host=host, port=port, user=user, secret=secret, folder=str(journal), keep_days=keep_days, orphan_s=orphan_s
            )
        )
        self._commands = Commander(host, port, user, secret)
        self._ari = ari
        self._extension_of = extension_of
        self._tail = Tail(journal, start_at)
        self._start_at = start_at
        self._parser = Parser(Translator.WANTED, self._garbage)
        self._translator = Translator(extension_of)
        self._after = start_at  # the place behind the last whole message that was read
        self._file = ""  # of the journal, the one that was read last
        self._gaps = Gaps(books, extension_of, journal)
        self._ahead_s = 0.0  # the PBX's clock minus ours
        self._penalty: dict[tuple[str, str], int] = {}
        self._rung: deque[str] = deque(maxlen=1000)  # legs we had the PBX start
        self._lacking = ""  # why the PBX hears us but won't do as we say
        self._ask_again_at = 0.0
        self._closing = False

    @property
    def capabilities(self) -> Capability:
        return _ALL if self._ari is not None else _ALL & ~Capability.BROWSER_PHONE

    # -------------------------------------------------------------------------------------------------------- hearing

    async def run(self) -> AsyncIterator[Batch]:
        while not self._closing:
            try:
                hello = await self._reader.open()
                async for batch in self._join(hello):
                    yield await self._vouched(batch)
                while True:
                    position, raw = await self._reader.next()
                    for heard in self._heard(position, raw):
                        for batch in await self._filled(heard):
                            yield await self._vouched(batch)
                    if self._lacking and time.monotonic() > self._ask_again_at:
                        yield await self._vouched(Batch(events=[LinkUp()], position=self._after))
            except (ReaderLost, OSError) as lost:
                if self._closing:
                    return
                log.error("the reader of the PBX's events is lost", why=str(lost))
                why = str(lost)
            except Exception as fault:  # none of what was read is lost by it: see `_heard`, `_filled` and `_vouched`
                log.exception("the reader of the PBX's events could not be heard")
                why = f"{type(fault).__name__} in our own hearing of the PBX's events"
            yield Batch(events=[LinkDown(why=why, at=None)], position=self._after)
            await self._reader.leave()
            await asyncio.sleep(0.5)

    async def _join(self, hello: Hello) -> AsyncIterator[Batch]:
        """What the journal holds from where we left off, and then how the link stands."""
        if not self._start_at and not self._tail.position:
            self._tail.seek(hello.position)
            self._after = self._tail.position
        self._gaps.begin(self._after)
        for data, position in self._tail.read(hello.position, only=bool(hello.position)):
            for batch in await self._filled(self._batch(data, position, rebuilt=True)):
                yield batch
            await asyncio.sleep(0)
        if hello.up:
            up = Batch(events=[Booted(epoch=hello.epoch), LinkUp()], position=self._after)
            for batch in [up] if hello.hole_since is None else await self._filled(up):
                yield batch
        elif hello.why:
            yield Batch(events=[LinkDown(why=hello.why)], position=self._after)

    async def _filled(self, batch: Batch) -> list[Batch]:
        """The batch with what the books know before it; the batch alone should a fault of ours keep them shut."""
        try:
            return await self._gaps.filled(batch)
        except Exception:
            log.exception("the PBX's books could not be told in their place")
            return [batch]

    async def _vouched(self, batch: Batch) -> Batch:
        """The batch, but no LinkUp in it while the PBX would refuse what we are here to ask: then a LinkDown that says so."""
        if batch.rebuilt or not batch.of_link:
            return batch
        if any(isinstance(event, LinkDown) for event in batch.events):
            await self._quit()  # whoever does not speak to us does not hear us either, though the socket may still stand
        if not any(isinstance(event, LinkUp) for event in batch.events):
            return batch
        try:
            self._lacking = await self._commands.missing_privileges()
        except PbxRefused as refusal:
            self._lacking = refusal.say
        except Exception as fault:
            log.exception("the PBX could not be asked what it lets us do")
            self._lacking = f"{type(fault).__name__} in our own asking"
        if not self._lacking:
            return batch
        self._ask_again_at = time.monotonic() + ASK_AGAIN_S
        await self._quit()
        down = [LinkDown(why=self._lacking) if isinstance(event, LinkUp) else event for event in batch.events]
        return Batch(events=down, position=batch.position)

    async def _quit(self) -> None:
        try:
            await self._commands.close()
        except Exception:  # nothing that is heard may be lost by it
            log.exception("the connection for commands could not be ended")

    def _heard(self, position: str, raw: bytes) -> Iterator[Batch]:
        """One part at a time: what was not told yet when a fault comes is still to be read."""
        if raw:
            yield self._batch(raw, self._tail.position)
            return
        for data, after in self._tail.read(position):
            yield self._batch(data, after)

    def _batch(self, data: bytes, position: str, *, rebuilt: bool = False) -> Batch:
        events: list[PbxEvent] = []
        file = position.rpartition(":")[0]
        if file != self._file and self._parser.pending:  # the writer died in the middle of a message; its heir began a new file
            log.warning("the journal has half a message at the end of a file", file=self._file, bytes=self._parser.pending)
            self._parser = Parser(Translator.WANTED, self._garbage)
        self._file = file
        for message in self._parser.feed(data):
            try:
                events += self._translator.feed(message)
            except Exception:  # it costs itself, and not those beside it
                log.exception("an event of the PBX could not be read", kind=message.name)
        if events and (at := events[-1].at) is not None and not rebuilt:
            self._ahead_s = at - time.time()
        name, _, offset = position.rpartition(":")
        self._after = place(name, int(offset) - self._parser.pending) if name else ""
        return Batch(events=events, position=self._after, rebuilt=rebuilt)

    def _garbage(self, at: int, what: bytes) -> None:
        log.warning("the PBX sent what is no message", after_bytes=at, bytes=len(what))

    # ------------------------------------------------------------------------------------------------------- the present

    async def snapshot(self) -> Snapshot:
        asked: list[Action] = [Ping(), CoreStatus(), Status(), BridgeList(), QueueStatus(), DeviceStateList()]
        answers = await self._commands.ask_all(asked, timeout=15.0)
        found: list[list[Message]] = []
        for action, answer in zip(asked, answers, strict=True):
            if isinstance(answer, PbxRefused):
                raise PbxRefused("The PBX refused {action}: {why}", action=action.NAME, why=answer.sentence)
            found.append(answer)
        await self._reader.ask_for_a_word()
        (pong, *_), (core, *_), statuses, bridges, queues, devices = found
        at = clock_of(pong)
        return Snapshot(
            at=at,
            epoch=epoch_of(core),
            legs=legs_of(statuses, bridges, at, self._extension_of),
            pairs=pairs_of(statuses),
            waits=waits_of(queues),
            members=members_of(queues, self._extension_of),
            phones=phones_of(devices, self._extension_of),
        )

    async def standing(self) -> Mapping[str, bool]:
        channels = await self._commands.ask(CoreShowChannels(), timeout=15.0)
        return {m.get("Uniqueid"): m.get("ChannelState") == UP for m in channels if m.name == "CoreShowChannel"}

    # --------------------------------------------------------------------------------------------------------- members

    async def set_members(self, members: Sequence[Member]) -> None:
        wanted = {(member.queue, member.extension): member for member in members}
        there: dict[tuple[str, str], Message] = {}
        for message in await self._commands.ask(QueueStatus(), timeout=15.0):
            if message.name == "QueueMember":
                there[(message.get("Queue"), extension_at(message.get("Location"), self._extension_of))] = message
        self._penalty.clear()
        actions: list[Action] = []
        for key, message in there.items():
            if key not in wanted and message.get("Membership") == "dynamic":
                actions.append(QueueRemove(queue=key[0], interface=message.get("Location")))
        for key, member in wanted.items():
            actions += self._changes(member, there.get(key))
        for start in range(0, len(actions), 100):
            await self._commands.ask_all(actions[start : start + 100], timeout=15.0)

    def _changes(self, member: Member, there: Message | None) -> list[Action]:
        """What makes a member as wanted, given how the queue sees it."""
        self._penalty[(member.queue, member.extension)] = member.penalty
        interface = self._interface(member.extension)
        if there is None:
            return [self._addition(member), self._lifted(member.extension)]
        actions: list[Action] = []
        paused = there.get("Paused") == "1"
        if paused != member.paused or (paused and there.get("PausedReason") != member.reason):
            actions += [
                QueuePause(interface=interface, paused=member.paused, queue=member.queue, reason=member.reason),
                self._lifted(member.extension),
            ]
        if there.get("Penalty") != str(member.penalty):
            actions.append(QueuePenalty(interface=interface, penalty=member.penalty, queue=member.queue))
        return actions

    async def put_members(self, members: Sequence[Member]) -> None:
        known = [member for member in members if (member.queue, member.extension) in self._penalty]
        new = [member for member in members if member not in known]
        actions = [*self._additions(new), *self._pauses(known), self._lifted(members[0].extension)]
        refused = [answer for answer in await self._commands.ask_all(actions) if isinstance(answer, PbxRefused)]
        if not refused:
            return
        # The PBX has other members than we believed: added or taken away by somebody else, or gone with their queue.
        there = [answer for answer in await self._commands.ask_all(self._additions(members)) if isinstance(answer, PbxRefused)]
        strange = [refusal for refusal in there if "already there" not in refusal.say.lower()]
        if strange:
            raise strange[0]
        await self._commands.ask_all([*self._pauses(members), self._lifted(members[0].extension)])

    def _additions(self, members: Sequence[Member]) -> list[Action]:
        self._penalty.update({(member.queue, member.extension): member.penalty for member in members})
        return [self._addition(member) for member in members]

    def _pauses(self, members: Sequence[Member]) -> list[Action]:
        """A seat is paused in all its queues or in none, so one word does for all."""
        if not members:
            return []
        interface, first = self._interface(members[0].extension), members[0]
        actions: list[Action] = []
        if all((member.paused, member.reason) == (first.paused, first.reason) for member in members):
            actions.append(QueuePause(interface=interface, paused=first.paused, reason=first.reason))
        else:
            actions += [QueuePause(interface=interface, paused=m.paused, queue=m.queue, reason=m.reason) for m in members]
        for member in members:
            key = (member.queue, member.extension)
            if self._penalty.get(key) != member.penalty:
                self._penalty[key] = member.penalty
                actions.append(QueuePenalty(interface=interface, penalty=member.penalty, queue=member.queue))
        return actions

    async def drop_member(self, queue: str, extension: str) -> None:
        self._penalty.pop((queue, extension), None)
        try:
            await self._commands.ask(QueueRemove(queue=queue, interface=self._interface(extension)))
        except PbxRefused as refusal:
            if "not there" not in refusal.say.lower():
                raise

    def _addition(self, member: Member) -> QueueAdd:
        return QueueAdd(
            queue=member.queue,
            interface=self._interface(member.extension),
            member_name=member.name,
            penalty=member.penalty,
            paused=member.paused,
            reason=member.reason,
        )

    def _lifted(self, extension: str) -> Setvar:
        """The PBX's own guard is told that we decide over this seat's pause now."""
        variable, value = guard_lifted(extension)
        return Setvar(variable=variable, value=value)

    def _interface(self, extension: str) -> str:
        return f"PJSIP/{extension}"

    # ----------------------------------------------------------------------------------------------------------- calls

    async def hang_up(self, leg: str) -> None:
        try:
            await self._commands.ask(Hangup(channel=leg))
        except PbxRefused as refusal:
            if "no such channel" not in refusal.say.lower():  # it ended meanwhile: that is what was wished
                raise

    async def originate(self, *, extension: str, number: str, caller_id: str, leg: str) -> None:
        if not _DIALABLE.fullmatch(number):
            raise PbxRefused("The number holds characters that can't be dialled.")
        if leg in self._rung:
            return  # asked twice: once is enough, even if that call is over by now
        state = await self._commands.ask(Getvar(variable=f"DEVICE_STATE({self._interface(extension)})"))
        if state[0].get("Value") in ("UNAVAILABLE", "INVALID"):
            raise PbxRefused("The phone of {extension} is not registered.", extension=extension)
        self._rung.append(leg)
        await self._commands.ask(
            Originate(
                channel=self._interface(extension),
                context=CLICK_CONTEXT,
                exten=number,
                channel_id=leg,
                timeout=RING_S * 1000,
                caller_id=number,
                variable=((CALLER_ID_VARIABLE, caller_id),) if caller_id else (),
            )
        )

    # ------------------------------------------------------------------------------------------------------------- rest

    async def set_phone_secret(self, extension: str, secret: str) -> None:
        if self._ari is None:
            raise PbxRefused("This PBX has no REST interface set up, so its phones' secrets can't be changed.")
        await self._ari.set_phone_secret(extension, secret)

    async def heartbeat(self, alive: bool) -> None:
        beat = int(time.time() + self._ahead_s) if alive else 0
        await self._commands.ask(Setvar(variable=HEARTBEAT, value=str(beat)))

    async def reload(self) -> None:
        if self._ari is not None:
            await self._ari.reload()
        else:
            await self._commands.ask(Reload())

    async def close(self) -> None:
        """End the reader too: nobody listens to this PBX any more."""
        self._closing = True
        await self._reader.stop()
        await self._commands.close()
        self._tail.close()

    async def abandon(self) -> None:
        """Let go as if this process had died: the reader runs on and can be found again."""
        self._closing = True
        await self._reader.leave()
        await self._commands.close()
        self._tail.close()
