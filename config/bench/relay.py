"""The floor of a pop: the least that could stand between the PBX's bytes and a console's socket.

It splits what comes at the empty lines, looks at first lines, and for `AgentCalled` writes one JSON message into the one right socket of
thousands. No rights, no look-up, no state, no journal; the cookie is the console's name.

    python -m config.bench.relay      settings as its first line; says its port, then stays until its input ends
"""

from __future__ import annotations

import asyncio
import re
import struct
from typing import Any, Final, cast

import uvloop

from config.bench.processes import Helper, allow_many_files, asked, say, settings_line

END: Final = b"\r\n\r\n"
CALLED: Final = b"Event: AgentCalled\r\n"
_COOKIE: Final = re.compile(rb"lingxi=([^\r;]+)")
_SEAT: Final = re.compile(rb"\r\nInterface: PJSIP/(\d+)")
_NAME: Final = re.compile(rb"\r\nCallerIDName: ([^\r]+)")
_NUMBER: Final = re.compile(rb"\r\nCallerIDNum: ([^\r]+)")


class Relay(Helper):
    """The process. Its first answer is its port."""

    MODULE = "config.bench.relay"

    async def port(self) -> int:
        """Where consoles connect."""
        return int((await self.hear())["port"])


def frame(payload: bytes) -> bytes:
    """A text frame."""
    size = len(payload)
    return (bytes((0x81, size)) if size < 126 else struct.pack("!BBH", 0x81, 126, size)) + payload


class Door(asyncio.Protocol):
    """A console's socket."""

    def __init__(self, doors: dict[bytes, asyncio.Transport]) -> None:
        self._doors = doors
        self._open = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._open and (found := _COOKIE.search(data)):
            self._open = True
            self._doors[found[1]] = self._transport
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            self._transport.write(frame(b'{"v":1,"t":"snapshot","feed":"desk","cursor":"0:0","state":{}}'))


class Ear(asyncio.Protocol):
    """The connection to the PBX."""

    def __init__(self, doors: dict[bytes, asyncio.Transport], secret: str) -> None:
        self._doors, self._secret, self._held = doors, secret, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(
            f"Action: Login\r\nUsername: relay\r\nSecret: {self._secret}\r\nEvents: on\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        *whole, self._held = (self._held + data).split(END)
        for block in whole:
            if block.startswith(CALLED):
                self._forward(block)

    def _forward(self, block: bytes) -> None:
        seat, name, number = _SEAT.search(block), _NAME.search(block), _NUMBER.search(block)
        if seat and name and number and (door := self._doors.get(seat[1])):
            row = b'{"name":"%s","number":"%s"}' % (name[1], number[1])
            door.write(
                frame(
                    b'{"v":1,"t":"event","feed":"desk","cursor":"0:1","name":"call.offered","put":[["calls","1",%s]],"drop":[]}'
                    % row
                )
            )


async def serve() -> None:
    """Listen for consoles, listen to the PBX."""
    allow_many_files()
    settings: dict[str, Any] = settings_line()
    doors: dict[bytes, asyncio.Transport] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(doors), "127.0.0.1", 0)
    await loop.create_connection(lambda: Ear(doors, settings["secret"]), "127.0.0.1", settings["pbx_port"])
    lines = await asked()
    say(port=server.sockets[0].getsockname()[1])
    await lines.read()


if __name__ == "__main__":
    uvloop.run(serve())
