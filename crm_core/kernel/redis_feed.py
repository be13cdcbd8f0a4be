"""Feeds between processes: `FeedMirror` writes a process's feeds to Redis, `RemoteFeeds` serves them in another
process.

All events of all mirrored feeds go through one stream, so that a follower needs one line, however many feeds it
follows; the rows of each feed stand in a hash for those who come late. Redis is never the truth: after a break the
mirror writes everything anew and followers read everything anew. Cursors are those of the mirrored feed, so a screen
may resume at any process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from crm_core.kernel.clock import Clock
from crm_core.kernel.feed import Change, Feed, FeedAddress, Leave, Send
from crm_core.kernel.feeds import Feeds
from crm_core.kernel.redis_link import Client, keep_up

STREAM_LENGTH = 20_000
_BATCH = 200
_WAITING_LIMIT = 20_000
_KEPT_S = 2 * 24 * 3600
_LINGER_S = 60.0
_ASK_AGAIN_S = 0.5
_META = "@"  # the field of the hash that holds epoch, number and tables; rows are under ["table","key"]

log = structlog.get_logger(__name__)


class _Keys:
    """The names in Redis."""

    def __init__(self, prefix: str) -> None:
        self.stream = f"{prefix}:events"
        self.wanted = f"{prefix}:wanted"
        self._prefix = prefix

    def rows(self, address: FeedAddress) -> str:
        return f"{self._prefix}:rows:{address}"


def _field(table: str, key: str) -> bytes:
    return orjson.dumps((table, key))


def _meta(feed: Feed, seq: int) -> bytes:
    return orjson.dumps({"v": 1, "epoch": feed.epoch, "seq": seq, "tables": feed.tables})


class FeedMirror:
    """Copies every feed of a `Feeds` to Redis as it changes. Changing a feed never waits for it."""

    def __init__(self, redis: Client, feeds: Feeds, prefix: str = "lingxi:feed") -> None:
        """To be made before the first feed is opened."""
        self._redis = redis
        self._feeds = feeds
        self._keys = _Keys(prefix)
        self._waiting: deque[tuple[FeedAddress, Feed, Change]] = deque()
        self._anew: dict[FeedAddress, Feed] = {}
        self._work = asyncio.Event()
        feeds.on_open(self._opened)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_up("feeds, writing", self._write))
            tasks.create_task(keep_up("feeds, asked for", self._hear_wishes))

    def _opened(self, address: FeedAddress, feed: Feed) -> None:
        def changed(change: Change) -> None:
            if address not in self._anew:
                self._waiting.append((address, feed, change))
            if len(self._waiting) > _WAITING_LIMIT:
                self._all_anew()
            self._work.set()

        feed.mirror = changed
        self._anew[address] = feed
        self._work.set()

    def _all_anew(self) -> None:
        """Forget what waits; whole feeds will be written instead."""
        self._waiting.clear()
        for address in self._feeds.addresses():
            feed = self._feeds.find(address)
            if feed is not None:
                self._anew[address] = feed

    async def _write(self, stands: Callable[[], None]) -> None:
        self._all_anew()
        while True:
            self._work.clear()
            while self._anew or self._waiting:
                await self._write_some()
                stands()
            await self._work.wait()

    async def _write_some(self) -> None:
        """One round trip: whole feeds first, then changes.

        What it takes up is lost when it fails; all is written anew then.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            for address in list(self._anew)[:_BATCH]:
                self._put_whole(pipe, address, self._anew.pop(address))
            for _ in range(min(_BATCH, len(self._waiting))):
                self._put_change(pipe, *self._waiting.popleft())
            await pipe.execute()

    def _put_whole(self, pipe: Any, address: FeedAddress, feed: Feed) -> None:
        name = self._keys.rows(address)
        fields: dict[bytes | str, bytes] = {_field(table, key): row for table, key, row in feed.rows()}
        pipe.delete(name)
        pipe.hset(name, mapping={_META: _meta(feed, feed.seq), **fields})
        pipe.expire(name, _KEPT_S)
        pipe.xadd(self._keys.stream, {"feed": str(address), "at": feed.cursor}, maxlen=STREAM_LENGTH, approximate=True)

    def _put_change(self, pipe: Any, address: FeedAddress, feed: Feed, change: Change) -> None:
        if self._feeds.find(address) is not feed:
            return  # closed since, or closed and opened again: what is there now was written whole
        name = self._keys.rows(address)
        fields: dict[bytes | str, bytes] = {_field(table, key): row for table, key, row in change.put}
        pipe.hset(name, mapping={_META: _meta(feed, change.seq), **fields})
        if change.drop:
            pipe.hdel(name, *(_field(table, key) for table, key in change.drop))
        pipe.expire(name, _KEPT_S)
        entry = {"feed": str(address), "at": f"{feed.epoch}:{change.seq}", "event": change.message}
        pipe.xadd(self._keys.stream, entry, maxlen=STREAM_LENGTH, approximate=True)

    async def _hear_wishes(self, stands: Callable[[], None]) -> None:
        """Open what another process wants to show and nobody has opened here yet."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._keys.wanted)
            while True:
                message = await pubsub.get_message(timeout=1.0)
                stands()
                if message is not None and message["type"] == "message":
                    self._wish(message["data"].decode())

    def _wish(self, text: str) -> None:
        try:
            self._feeds.open(FeedAddress.parse(text))
        except Exception:
            log.exception("A feed that another process wants could not be opened.", feed=text)


class RemoteFeed:
    """One feed of another process, as it is known here: a twin with the same numbers, and those who wait for it."""

    def __init__(self, address: FeedAddress) -> None:
        self.address = address
        self.twin = Feed(address.name)
        self.loaded = False
        self.loading = False
        self.stale = True
        self.left_at: float | None = None
        self._early: dict[object, tuple[str | None, Send]] = {}
        self._leaves: dict[object, Leave] = {}
        self._behind: list[bytes] = []
        self._written = ""

    @property
    def followed(self) -> bool:
        return bool(self._early or self._leaves)

    def join(self, since: str | None, send: Send) -> Leave:
        token = object()
        if self.loaded:
            self._leaves[token] = self.twin.join(since, send)
        else:
            self._early[token] = (since, send)

        def leave() -> None:
            self._early.pop(token, None)
            self._leaves.pop(token, lambda: None)()

        return leave

    def load(self, fields: dict[bytes, bytes]) -> bool:
        """Take over the rows as Redis has them, and the events that came meanwhile. False where Redis has none yet."""
        if _META.encode() not in fields:
            self.give_up()
            return False
        meta = orjson.loads(fields.pop(_META.encode()))
        rows = [(*orjson.loads(field), row) for field, row in fields.items()]
        self.twin.load(meta["epoch"], meta["seq"], rows, meta["tables"])
        self.loaded, self.loading, self.stale = True, False, bool(self._written) and self._is_news(self._written)
        self._written = ""
        behind, self._behind = self._behind, []
        for message in behind:
            self.take(message)
        for token, (since, send) in list(self._early.items()):
            del self._early[token]
            self._leaves[token] = self.twin.join(since, send)
        return True

    def give_up(self) -> None:
        """This attempt to load came to nothing."""
        self.loading, self._written = False, ""
        self._behind.clear()

    def reset(self, cursor: str) -> None:
        """The mirror wrote the whole feed anew, as of `cursor`; perhaps after what is being loaded just now."""
        if self.loading:
            self._written = cursor
        elif self._is_news(cursor):
            self.stale = True

    def _is_news(self, cursor: str) -> bool:
        epoch, _, seq = cursor.rpartition(":")
        return epoch != self.twin.epoch or int(seq) > self.twin.seq

    def take(self, message: bytes) -> None:
        """Take one event message of the stream; a gap makes the twin stale."""
        if self.loading:
            self._behind.append(message)
        elif not self.stale and not self.twin.apply(message):
            self.stale = self._is_news(orjson.loads(message)["cursor"])


class RemoteFeeds:
    """Serves the feeds that another process mirrors: joined like `Feeds`, following while somebody looks."""

    def __init__(self, redis: Client, clock: Clock, prefix: str = "lingxi:feed") -> None:
        self._redis = redis
        self._clock = clock
        self._keys = _Keys(prefix)
        self._feeds: dict[FeedAddress, RemoteFeed] = {}
        self._by_name: dict[bytes, RemoteFeed] = {}
        self._wanted = asyncio.Event()
        self._following = asyncio.Event()

    def join(self, address: FeedAddress, since: str | None, send: Send) -> Leave:
        """As `Feeds.join`; the first message comes when the feed is known here, at once for one that is followed
        already.
        """
        feed = self._feeds.get(address)
        if feed is None:
            feed = self._feeds[address] = self._by_name[str(address).encode()] = RemoteFeed(address)
        self._wanted.set()
        feed.left_at = None
        leave_feed = feed.join(since, send)

        def leave() -> None:
            leave_feed()
            if not feed.followed:
                feed.left_at = self._clock.monotonic()

        return leave

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_up("feeds, following", self._follow))
            tasks.create_task(keep_up("feeds, loading", self._load))

    async def _follow(self, stands: Callable[[], None]) -> None:
        newest: Any = await self._redis.xrevrange(self._keys.stream, count=1)
        last: bytes = newest[0][0] if newest else b"0-0"
        for feed in self._feeds.values():
            feed.stale = True
        self._following.set()
        self._wanted.set()
        try:
            while True:
                answer: Any = await self._redis.xread({self._keys.stream: last}, count=1000, block=500)
                stands()
                for number, fields in (entry for _, entries in answer for entry in entries):
                    self._take(fields)
                    last = number
                self._forget()
        finally:
            self._following.clear()

    def _take(self, fields: dict[bytes, bytes]) -> None:
        feed = self._by_name.get(fields[b"feed"])
        if feed is None:
            return
        if b"event" in fields:
            feed.take(fields[b"event"])
        else:
            feed.reset(fields[b"at"].decode())
        if feed.stale:
            self._wanted.set()

    def _forget(self) -> None:
        """Let go of feeds that nobody has looked at for a minute."""
        now = self._clock.monotonic()
        for address, feed in list(self._feeds.items()):
            if feed.left_at is not None and now - feed.left_at > _LINGER_S:
                del self._feeds[address], self._by_name[str(address).encode()]

    async def _load(self, stands: Callable[[], None]) -> None:
        while True:
            await self._following.wait()
            self._wanted.clear()
            missing = [feed for feed in self._feeds.values() if feed.stale and not await self._load_one(feed)]
            stands()
            if missing:
                await asyncio.sleep(_ASK_AGAIN_S)
            else:
                await self._wanted.wait()

    async def _load_one(self, feed: RemoteFeed) -> bool:
        feed.loading = True
        try:
            fields: Any = await self._redis.hgetall(self._keys.rows(feed.address))
        except BaseException:
            feed.give_up()
            raise
        if feed.load(fields):
            if feed.stale:
                self._wanted.set()
            return True
        await self._redis.publish(self._keys.wanted, str(feed.address))
        return False
