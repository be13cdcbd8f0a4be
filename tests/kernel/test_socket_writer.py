"""The writer of a browser's socket, against a real client.

Frames of every size, one stuck reader, the codes of a cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from crm_core.kernel.socket_writer import SocketWriter


@asynccontextmanager
async def serving(limit: int = 256 * 1024) -> AsyncIterator[tuple[str, list[SocketWriter]]]:
    writers: list[SocketWriter] = []

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        writers.append(SocketWriter(request, limit))
        async for _ in response:
            pass
        return response

    app = web.Application()
    app.router.add_get("/ws", socket)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/ws")), writers
    finally:
        await server.close()


async def until(true: Callable[[], bool], within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


Use = Callable[[aiohttp.ClientWebSocketResponse, SocketWriter], Awaitable[None]]


async def with_client(use: Use) -> None:
    async with serving() as (url, writers), aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as client:
        await until(lambda: bool(writers))
        await use(client, writers[0])


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
async def test_frames_of_every_size_arrive_whole(size: int) -> None:
    async def use(client: aiohttp.ClientWebSocketResponse, writer: SocketWriter) -> None:
        writer.send(b"x" * size)
        writer.send("完".encode())
        assert await client.receive_str() == "x" * size
        assert await client.receive_str() == "完"

    await with_client(use)


async def test_a_cut_tells_its_code_and_reason() -> None:
    async def use(client: aiohttp.ClientWebSocketResponse, writer: SocketWriter) -> None:
        writer.send(b"{}")
        writer.close(4409, "taken over by another tab")
        writer.close(4401, "too late to say")
        writer.send(b"never seen")
        assert await client.receive_str() == "{}"
        last = await client.receive()
        assert (last.type, last.data, last.extra) == (aiohttp.WSMsgType.CLOSE, 4409, "taken over by another tab")

    await with_client(use)


async def test_one_stuck_reader_is_cut_and_the_others_hear_everything_at_once() -> None:
    async with serving(limit=64 * 1024) as (url, writers), aiohttp.ClientSession() as session:
        good = await session.ws_connect(url)
        await until(lambda: len(writers) == 1)
        port = int(url.split(":")[2].split("/")[0])
        _, stuck_writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        stuck_writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await until(lambda: len(writers) == 2)
        for n in range(6000):
            for writer in writers:
                writer.send(f"{n:06}".encode() + b"x" * 2000)
            assert (await good.receive_str())[:6] == f"{n:06}"
        assert writers[1].outbox.evicted
        assert not writers[0].outbox.evicted
        stuck_writer.close()
        await good.close()
