"""Thousands of consoles without their screens: WebSockets that sign in with a cookie, join the desk feed, and note when a call is shown.

One process, plain sockets: no more is read of a message than whether a call is in it. What was noted is told when asked for,
so that telling costs nothing while it is measured.

    python -m config.bench.consoles      settings as its first line, then one command a line
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from typing import Any, Final, cast

import uvloop

from config.bench.processes import Helper, allow_many_files, asked, say, settings_line

JOIN: Final = b'{"v":1,"t":"join","feed":"desk"}'
SHOWN: Final = b'["calls",'
SNAPSHOT: Final = b'"t":"snapshot"'
AT_ONCE: Final = 100


class Consoles(Helper):
    """The process of consoles."""

    MODULE = "config.bench.consoles"

    async def open(self) -> int:
        """Wait until every console has its snapshot; how many there are."""
        return int((await self.hear(300))["joined"])

    async def seen(self) -> dict[str, Any]:
        """What was noted since the last time: `shown` (time, console, message), messages, bytes, and how many were cut."""
        return await self.ask(do="tell")


class Console(asyncio.Protocol):
    """One console's socket."""

    __slots__ = ("_buffer", "_cookie", "_everybody", "_open", "name", "ready", "transport")

    def __init__(self, everybody: Everybody, name: str, cookie: str) -> None:
        self._everybody, self.name, self._cookie = everybody, name, cookie
        self._buffer = b""
        self._open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        host = self._everybody.host
        self.transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Cookie: lingxi={self._cookie}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        data = self._buffer + data if self._buffer else data
        if not self._open:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if b" 101 " not in head[:16]:
                self.ready.set_exception(ConnectionError(head[:80].decode("latin-1")))
                return
            self._open = True
            self._send(0x81, JOIN)
        self._buffer = self._frames(data, at)

    def _frames(self, data: bytes, at: float) -> bytes:
        """Take the whole frames; what is left of the last."""
        start, end = 0, len(data)
        while end - start >= 2:
            size, body = data[start + 1], start + 2
            if size == 126:
                if end < body + 2:
                    break
                size, body = struct.unpack_from("!H", data, body)[0], body + 2
            elif size == 127:
                if end < body + 8:
                    break
                size, body = struct.unpack_from("!Q", data, body)[0], body + 8
            if end < body + size:
                break
            self._take(data[start] & 15, data[body : body + size], at)
            start = body + size
        return data[start:]

    def _take(self, opcode: int, payload: bytes, at: float) -> None:
        self._everybody.messages += 1
        self._everybody.bytes += len(payload)
        if opcode == 9:
            self._send(0x8A, payload)
        elif SHOWN in payload:
            self._everybody.shown.append((at, self.name, payload))
        elif not self.ready.done() and SNAPSHOT in payload:
            self.ready.set_result(None)

    def _send(self, first: int, payload: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(bytes((first, 0x80 | len(payload))) + b"\0\0\0\0" + payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._everybody.cut += 1
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))


class Everybody:
    """All consoles of this process."""

    def __init__(self, port: int, cookies: dict[str, str]) -> None:
        self.host, self._port, self._cookies = f"127.0.0.1:{port}", port, cookies
        self.shown: list[tuple[float, str, bytes]] = []
        self.messages = self.bytes = self.cut = 0

    async def open(self) -> int:
        """Open every socket, some at once, and wait for its snapshot."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(name: str, cookie: str) -> None:
            async with turns:
                _, console = await asyncio.get_running_loop().create_connection(
                    lambda: Console(self, name, cookie), "127.0.0.1", self._port
                )
                await console.ready

        await asyncio.gather(*(one(name, cookie) for name, cookie in self._cookies.items()))
        return len(self._cookies)

    def told(self) -> dict[str, Any]:
        """What was noted since the last time."""
        found = {
            "shown": [(at, name, payload.decode()) for at, name, payload in self.shown],
            "messages": self.messages,
            "bytes": self.bytes,
            "cut": self.cut,
        }
        self.shown, self.messages, self.bytes = [], 0, 0
        return found


async def serve() -> None:
    """Open all, say so, and tell what was noted until nobody asks any more."""
    allow_many_files()
    settings = settings_line()
    everybody = Everybody(settings["port"], settings["cookies"])
    lines = await asked()
    say(joined=await everybody.open())
    while await lines.readline():
        say(**everybody.told())


if __name__ == "__main__":
    uvloop.run(serve())
