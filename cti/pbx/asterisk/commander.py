"""The commands connection to Asterisk: one action out, its answer back, nothing else heard.

Logs in without events, so that a burst of them can't hold up an answer. Connects when first needed and again after a loss; an
action is never sent twice by itself. Which actions make a command is the driver's business.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import count
from typing import Final

from crm_core.kernel.sentence import Sentence
from cti.pbx.asterisk.ami_actions import Action, ListCommands, Login, Logoff, Unspeakable, encode
from cti.pbx.asterisk.ami_wire import EVENT, Message, Parser
from cti.ports import PbxRefused, PbxUnreachable

ANSWER_S: Final = 5.0
CONNECT_S: Final = 3.0
REFUSED_S: Final = 5.0  # a wrong secret is not tried again sooner
NEEDED: Final = frozenset(
    {
        "QueueAdd",
        "QueueRemove",
        "QueuePause",
        "QueueStatus",
        "Status",
        "CoreStatus",
        "DeviceStateList",
        "Originate",
        "Hangup",
        "Setvar",
    }
)


class _Answer:
    """What came so far in answer to one action."""

    __slots__ = ("done", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.done: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()


def _taken(messages: list[Message]) -> list[Message] | PbxRefused:
    """The answer, or the refusal that it is."""
    if messages[0].name == "Success":
        return messages
    reason = messages[0].get("Message")
    return PbxRefused(reason) if reason else PbxRefused("The PBX refused without a reason.")


class Commander:
    """Sends actions. All methods raise PbxUnreachable when Asterisk can't be reached or does not answer in time."""

    def __init__(self, host: str, port: int, user: str, secret: str) -> None:
        self._host, self._port, self._user, self._secret = host, port, user, secret
        self._ids = count(1)
        self._answers: dict[str, _Answer] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._shut_out_until = 0.0
        self._unsent: list[bytes] = []

    async def ask(self, action: Action, timeout: float = ANSWER_S) -> list[Message]:
        """The response and, of a list, everything that follows it. Raises PbxRefused with the PBX's own reason."""
        writer = await self._connected()
        return await self._exchange(writer, action, timeout)

    async def ask_all(self, actions: Sequence[Action], timeout: float = ANSWER_S) -> list[list[Message] | PbxRefused]:
        """Many actions at once, answers in the same order; a refusal stands in its place instead of being raised."""
        writer = await self._connected()
        return await self._exchange_all(writer, actions, timeout)

    async def missing_privileges(self) -> str:
        """What this account lacks, in one sentence; "" if it has all a driver needs."""
        answer = await self.ask(ListCommands())
        lacking = sorted(name for name in NEEDED if not answer[0].get(name))
        if not lacking:
            return ""
        return (
            f"The PBX's manager account {self._user} may not use {', '.join(lacking)}: "
            "give it write=call,agent,originate,reporting in manager.conf."
        )

    async def close(self) -> None:
        """Log off and let go."""
        if self._writer is not None and not self._writer.is_closing():
            with contextlib.suppress(OSError, RuntimeError):  # the loop says RuntimeError of a socket that broke a moment ago
                self._writer.write(encode(Logoff(), "bye"))
                await self._writer.drain()
        self._lose(Sentence("the link was closed"))

    # ------------------------------------------------------------------------------------------------------ the wire

    async def _exchange(self, writer: asyncio.StreamWriter, action: Action, timeout: float) -> list[Message]:
        (answer,) = await self._exchange_all(writer, [action], timeout)
        if isinstance(answer, PbxRefused):
            raise answer
        return answer

    async def _exchange_all(
        self, writer: asyncio.StreamWriter, actions: Sequence[Action], timeout: float
    ) -> list[list[Message] | PbxRefused]:
        """Send all, then wait for all: one packet and one clock for them together. What can't be said is refused here."""
        asked: list[str | PbxRefused] = [self._say(writer, action) for action in actions]
        waiting = [self._answers[said].done for said in asked if isinstance(said, str)]
        try:
            async with asyncio.timeout(timeout):
                answers = iter([await done for done in waiting])
        except TimeoutError as error:
            if self._writer is writer:
                self._lose(Sentence("another action was not answered"))
            raise PbxUnreachable("The PBX did not answer within {n} seconds.", n=f"{timeout:g}") from error
        finally:
            for said in asked:
                if isinstance(said, str):
                    self._forget(said)
        return [_taken(next(answers)) if isinstance(said, str) else said for said in asked]

    def _say(self, writer: asyncio.StreamWriter, action: Action) -> str | PbxRefused:
        """Send an action; the name under which its answer will come."""
        action_id = f"lx{next(self._ids)}"
        try:
            line = encode(action, action_id)
        except Unspeakable as error:
            return PbxRefused(error.sentence)
        self._answers[action_id] = _Answer()
        self._send(writer, line)
        return action_id

    def _forget(self, action_id: str) -> None:
        answer = self._answers.pop(action_id, None)
        if answer is not None and answer.done.done() and not answer.done.cancelled():
            answer.done.exception()  # looked at: of many that the same loss ended, only the first was raised

    def _send(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        """Send with what else is asked in this breath: one packet instead of many."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush, writer)
        self._unsent.append(line)

    def _flush(self, writer: asyncio.StreamWriter) -> None:
        lines, self._unsent = self._unsent, []
        writer.write(b"".join(lines))

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            self._lose(Sentence("the link broke"))
            if asyncio.get_running_loop().time() < self._shut_out_until:
                raise self._shut_out()
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(self._host, self._port)
            except (OSError, TimeoutError) as error:
                raise PbxUnreachable("The PBX can't be reached at {address}.", address=f"{self._host}:{self._port}") from error
            self._writer = writer
            self._listening = asyncio.create_task(self._listen(reader, writer), name="AMI commands")
            try:
                await self._exchange(writer, Login(username=self._user, secret=self._secret, events="off"), ANSWER_S)
            except PbxUnreachable:
                self._lose(Sentence("the log-in was not answered"))
                raise
            except PbxRefused as refusal:
                self._lose(Sentence("the log-in was refused"))
                self._shut_out_until = asyncio.get_running_loop().time() + REFUSED_S
                raise self._shut_out() from refusal
            return writer

    def _shut_out(self) -> PbxUnreachable:
        return PbxUnreachable("The PBX refused the name or the secret of its manager account {name}.", name=self._user)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = Parser()
        with contextlib.suppress(OSError):
            while data := await reader.read(262_144):
                for message in parser.feed(data):
                    self._hear(message)
        if self._writer is writer:
            self._lose(Sentence("the PBX closed the link"))

    def _hear(self, message: Message) -> None:
        answer = self._answers.get(message.get("ActionID"))
        if answer is None or answer.done.done():
            return
        answer.messages.append(message)
        more = message.get("EventList").lower()
        ends = more in ("complete", "cancelled") if message.kind == EVENT else more != "start"
        if ends:
            answer.done.set_result(answer.messages)

    def _lose(self, why: Sentence) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        listening, self._listening = self._listening, None
        if listening is not None and listening is not asyncio.current_task():
            listening.cancel()
        for answer in self._answers.values():
            if not answer.done.done():
                answer.done.set_exception(PbxUnreachable("The PBX did not answer: {why}.", why=why))
                answer.done.exception()  # whoever asked may be gone by now; that is no error to be logged
        self._answers.clear()
