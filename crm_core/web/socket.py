"""The one WebSocket of a tab: checks where it comes from and who it is, then carries the feeds the tab joins (docs/reference/feeds.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import orjson
import structlog
from aiohttp import WSMsgType, web

from crm_core.kernel.access import Principal, Scope
from crm_core.kernel.clock import Clock
from crm_core.kernel.errors import Refusal
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
AT_ONCE, IN_A_BREATH = 50, 10
SILENT = 2
MAX_FRAME = 16 * 1024
SIGNED_OUT = 4401
GONE = 4410


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
        ws = web.WebSocketResponse(max_msg_size=MAX_FRAME, compress=False, autoping=False)
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
        async for message in tab.ws:
            tab.silent = 0
            if message.type is WSMsgType.TEXT:
                self._hear(tab, message.data)
            elif message.type is WSMsgType.PING:
                tab.writer.pong(message.data)

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

    async def watch(self) -> None:
        """End the sockets of sessions that ended and of rights taken away, and those of browsers that are gone without a word.

        Goes round for ever, a slice of them at a time: thousands of pings in one breath would hold up every pop.
        """
        while True:
            there = list(self.open)
            slices = [there[first : first + AT_ONCE] for first in range(0, max(len(there), 1), AT_ONCE)]
            for tabs in slices:
                for first in range(0, AT_ONCE, IN_A_BREATH):
                    await asyncio.sleep(RECHECK_S / len(slices) / (AT_ONCE // IN_A_BREATH))
                    for tab in self.open.intersection(tabs[first : first + IN_A_BREATH]):
                        tab.ask_for_life()
                try:
                    standing = await self._sign_in.standing({tab.cookie for tab in tabs})
                except Exception as error:
                    log.warning("sessions could not be checked again", sockets=len(tabs), why=type(error).__name__)
                    continue
                for tab in self.open.intersection(tabs):
                    self._judge(tab, standing.get(tab.cookie))

    async def recheck(self, unit_id: int) -> None:
        """Judge the open sockets of a unit now: rights or people changed."""
        tabs = [tab for tab in self.open if tab.principal.unit_id == unit_id]
        for first in range(0, len(tabs), AT_ONCE):
            some = tabs[first : first + AT_ONCE]
            standing = await self._sign_in.standing({tab.cookie for tab in some})
            for tab in self.open.intersection(some):
                self._judge(tab, standing.get(tab.cookie))

    @staticmethod
    def _judge(tab: Tab, grants: Mapping[tuple[str, str], Scope] | None) -> None:
        if grants is None:
            tab.writer.close(SIGNED_OUT, "signed out")
        elif grants != tab.principal.grants:
            tab.writer.close(SIGNED_OUT, "rights changed")

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
        self.silent = 0  # rounds since the browser was last heard of

    def ask_for_life(self) -> None:
        """Ping a browser that was not heard of since the last round: it answers by itself, however asleep its page is.

        One that left SILENT pings without an answer is gone.
        """
        if self.silent > SILENT:
            self.writer.close(GONE, "no answer")
            return
        if self.silent:
            self.writer.ping()
        self.silent += 1

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
