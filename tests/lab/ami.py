"""A small client of Asterisk's manager interface for tests: enough to look and to poke, independent of the product's own driver.

It keeps every event of its connection in order; it does not reconnect and checks no value it sends.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Self

Message = dict[str, str]


class AmiRefused(Exception):
    """Asterisk answered `Response: Error`; the text is its message."""


class Ami:
    """One logged-in connection. `events` grows; each message also has `_at`, the monotonic second of its arrival."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.events: list[Message] = []
        self.on_event: Callable[[Message], None] | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[str, tuple[asyncio.Future[list[Message]], list[Message]]] = {}
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, address: str, port: int, user: str, secret: str) -> Self:
        made = cls(*await asyncio.open_connection(address, port, limit=1 << 20))
        await made._reader.readline()
        made._task = asyncio.create_task(made._read())
        await made.action("Login", Username=user, Secret=secret)
        return made

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._writer.close()

    async def action(self, name: str, **headers: str) -> Message:
        """Send an action and return its response; AmiRefused if it is an error."""
        return (await self.listing(name, **headers))[0]

    async def listing(self, name: str, **headers: str) -> list[Message]:
        """Send an action and return its response followed by the events of its list."""
        ident = f"t{next(self._ids)}"
        future: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        self._waiting[ident] = (future, [])
        lines = [f"Action: {name}", f"ActionID: {ident}", *(f"{key}: {value}" for key, value in headers.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = await asyncio.wait_for(future, 15)
        if answer[0].get("Response") == "Error":
            raise AmiRefused(answer[0].get("Message", ""))
        return answer

    def send(self, name: str, **headers: str) -> None:
        """Send an action without waiting; its response is dropped."""
        lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in headers.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def wait(self, event: str, timeout: float = 15, since: int = 0, **fields: str) -> Message:
        """The first event of this name and these fields from index `since` on, come or to come."""

        def found() -> Message | None:
            return next(
                (m for m in self.events[since:] if m.get("Event") == event and all(m.get(k) == v for k, v in fields.items())), None
            )

        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
        message = found()
        assert message is not None
        return message

    def named(self, event: str, since: int = 0, **fields: str) -> list[Message]:
        """All events so far of this name and these fields."""
        return [m for m in self.events[since:] if m.get("Event") == event and all(m.get(k) == v for k, v in fields.items())]

    async def _read(self) -> None:
        lines: list[str] = []
        while raw := await self._reader.readline():
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line:
                lines.append(line)
            elif lines:
                await self._take(lines)
                lines = []

    async def _take(self, lines: list[str]) -> None:
        message: Message = {}
        for line in lines:
            key, _, value = line.partition(":")
            message.setdefault(key, value.strip())
        waiting = self._waiting.get(message.get("ActionID", ""))
        is_response = lines[0].startswith("Response:")
        if waiting is not None and (is_response or waiting[1]):
            waiting[1].append(message)
            starts = is_response and message.get("EventList", "").lower() == "start"
            goes_on = not is_response and message.get("EventList", "").lower() not in ("complete", "cancelled")
            if not starts and not goes_on:
                del self._waiting[message["ActionID"]]
                if not waiting[0].done():
                    waiting[0].set_result(waiting[1])
        elif not is_response:
            message["_at"] = repr(time.monotonic())
            self.events.append(message)
            if self.on_event is not None:
                self.on_event(message)
            async with self._changed:
                self._changed.notify_all()
