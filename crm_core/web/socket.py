"""The one WebSocket of a tab: checks where it comes from and who it is, then carries the feeds the tab joins (docs/reference/feeds.md)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import orjson
import structlog
from aiohttp import WSMsgType, web

from crm_core.kernel.access import Principal
from crm_core.kernel.clock import Clock
from crm_core.kernel.errors import NotSignedIn, Refusal
from crm_core.kernel.feed import FeedAddress, Leave
from crm_core.kernel.feeds import FeedSource
from crm_core.kernel.socket_writer import SocketWriter
from crm_core.kernel.words import say
from crm_core.signin import SignIn
from crm_core.web.app import COOKIE
from crm_core.web.ask import Ask

log = structlog.get_logger(__name__)
FeedDoor = Callable[[Principal], FeedAddress]
RECHECK_S = 15.0
MAX_FRAME = 16 * 1024
SIGNED_OUT = 4401


class Said(msgspec.Struct):
    """What a tab may say."""

    t: str
    v: int = 1
    feed: str = ""
    since: str | None = None
    n: int = 0


class Sockets:
    """All open sockets of this process, and the feeds they may join."""

    def __init__(self, feeds: FeedSource, sign_in: SignIn, clock: Clock, origins: frozenset[str]) -> None:
        self._feeds = feeds
        self.doors: dict[str, FeedDoor] = {}
        self.seen: Callable[[Principal], None] = lambda _: None
        self.open: set[Tab] = set()
        self._sign_in = sign_in
        self._clock = clock
        self.origins = origins

    async def serve(self, ask: Ask) -> web.StreamResponse:
        """Upgrade and carry feeds until one side goes. A foreign or absent Origin is refused."""
        request = ask.request
        if not same_origin(request, self.origins):
            return web.Response(status=403, text="foreign origin")
        if ask.visit is None:
            return web.Response(status=403, text="sign in with a browser")
        ws = web.WebSocketResponse(max_msg_size=MAX_FRAME, compress=False, heartbeat=30, autoping=True)
        await ws.prepare(request)
        tab = Tab(ws, SocketWriter(request, label=f"user {ask.principal.user_id}"), ask, request.cookies.get(COOKIE, ""))
        self.open.add(tab)
        try:
            await self._run(tab)
        finally:
            self.open.discard(tab)
            tab.leave_all()
        return ws

    async def _run(self, tab: Tab) -> None:
        tab.send({"v": 1, "t": "welcome", "now": self._now_ms()})
        watcher = asyncio.create_task(self._watch(tab))
        try:
            async for message in tab.ws:
                if message.type is WSMsgType.TEXT:
                    self._hear(tab, message.data)
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await watcher

    def _hear(self, tab: Tab, text: str) -> None:
        try:
            said = msgspec.json.decode(text, type=Said)
        except (msgspec.DecodeError, UnicodeEncodeError):
            tab.send({"v": 1, "t": "refused", "why": "not_understood", "say": ""})
            return
        if said.t == "ping":
            self.seen(tab.principal)
            tab.send({"v": 1, "t": "pong", "n": said.n, "now": self._now_ms()})
        elif said.t == "join":
            self._join(tab, said)
        elif said.t == "leave":
            tab.leave(said.feed)

    def _join(self, tab: Tab, said: Said) -> None:
        door = self.doors.get(said.feed)
        try:
            if door is None:
                raise Refusal("no_such_feed", "There is no such feed.")
            address = door(tab.principal)
        except Refusal as refusal:
            told = say(tab.lang, refusal.say, **refusal.detail)
            tab.send({"v": 1, "t": "refused", "feed": said.feed, "why": refusal.code, "say": told})
            return
        tab.leave(said.feed)
        tab.joined[said.feed] = self._feeds.join(address, said.since, tab.writer.send)

    async def _watch(self, tab: Tab) -> None:
        """A session that ended, or a right that was taken away, ends the socket."""
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                visit = await self._sign_in.visit(tab.cookie)
            except NotSignedIn:
                tab.writer.close(SIGNED_OUT, "signed out")
                return
            except Exception:
                log.warning("a session could not be checked again", user_id=tab.principal.user_id)
                continue
            if visit.principal.grants != tab.principal.grants:
                tab.writer.close(SIGNED_OUT, "rights changed")
                return

    def end_session(self, cookie: str) -> None:
        """Close every tab of a session that signed out."""
        for tab in list(self.open):
            if tab.cookie == cookie:
                tab.writer.close(SIGNED_OUT, "signed out")

    def _now_ms(self) -> int:
        return round(self._clock.now() * 1000)


class Tab:
    """One open socket, and what it joined."""

    def __init__(self, ws: web.WebSocketResponse, writer: SocketWriter, ask: Ask, cookie: str) -> None:
        self.ws = ws
        self.writer = writer
        self.principal = ask.principal
        self.lang = ask.lang
        self.cookie = cookie
        self.joined: dict[str, Leave] = {}

    def send(self, message: dict[str, Any]) -> None:
        self.writer.send(orjson.dumps(message))

    def leave(self, feed: str) -> None:
        leave = self.joined.pop(feed, None)
        if leave is not None:
            leave()

    def leave_all(self) -> None:
        for feed in list(self.joined):
            self.leave(feed)


def same_origin(request: web.Request, origins: frozenset[str]) -> bool:
    """Whether a browser's request comes from a page of ours: its Origin names the host it asks, or one that the settings allow."""
    origin = request.headers.get("Origin", "")
    if origin in origins:
        return True
    parts = urlsplit(origin)
    return bool(parts.netloc) and parts.scheme in ("http", "https") and parts.netloc == request.host
