"""The feeds of a process by address, made when first asked for, with a word when somebody comes and when the last one
leaves.

It decides nothing about rights: what reaches `join` has been allowed. A process that does not own the feeds uses
`RemoteFeeds` of `redis_feed` in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from crm_core.kernel.feed import KEPT_BYTES, Feed, FeedAddress, Leave, Send

OWN_KEPT_BYTES = 16 * 1024


class FeedSource(Protocol):
    """Where a socket joins feeds: `Feeds` of this process, or `RemoteFeeds` that follow another."""

    def join(self, address: FeedAddress, since: str | None, send: Send) -> Leave:
        """As `Feed.join`; from another process the first message may come a moment later."""
        ...


Opened = Callable[[FeedAddress, Feed], None]
Noticed = Callable[[FeedAddress], None]


def plain_feed(address: FeedAddress) -> Feed:
    """A feed without declared tables, called on the screen what its address says.

    One that many share keeps 128 KiB of its past; one that is somebody's own keeps 16 KiB, since there are thousands of
    them and their snapshots are small.
    """
    return Feed(address.name, kept_bytes=OWN_KEPT_BYTES if address.key else KEPT_BYTES)


class Feeds:
    """The feeds of this process by address, made when first asked for."""

    def __init__(self, make: Callable[[FeedAddress], Feed] = plain_feed) -> None:
        self._make = make
        self._feeds: dict[FeedAddress, Feed] = {}
        self._on_open: list[Opened] = []
        self._on_first: list[Noticed] = []
        self._on_last: list[Noticed] = []

    def on_open(self, hook: Opened) -> None:
        """Call `hook(address, feed)` when a feed is made, before anybody joins it: the moment to fill it."""
        self._on_open.append(hook)

    def on_first(self, hook: Noticed) -> None:
        """Call `hook(address)` when a feed that nobody followed is joined, before its snapshot is taken."""
        self._on_first.append(hook)

    def on_last(self, hook: Noticed) -> None:
        """Call `hook(address)` when the last follower has left. The hook may `close` the feed."""
        self._on_last.append(hook)

    def open(self, address: FeedAddress) -> Feed:
        """The feed, made if there was none."""
        feed = self._feeds.get(address)
        if feed is None:
            feed = self._feeds[address] = self._make(address)
            for hook in self._on_open:
                hook(address, feed)
        return feed

    def find(self, address: FeedAddress) -> Feed | None:
        """The feed where there is one: to change what is followed without making what is not."""
        return self._feeds.get(address)

    def close(self, address: FeedAddress) -> None:
        """Forget the feed. Those who still follow it hear nothing more; who joins again gets a new one."""
        self._feeds.pop(address, None)

    def addresses(self) -> list[FeedAddress]:
        return list(self._feeds)

    def join(self, address: FeedAddress, since: str | None, send: Send) -> Leave:
        feed = self.open(address)
        if not feed.joined:
            for hook in self._on_first:
                hook(address)
        leave_feed = feed.join(since, send)
        left = False

        def leave() -> None:
            nonlocal left
            if left:
                return
            left = True
            leave_feed()
            if not feed.joined:
                for hook in self._on_last:
                    hook(address)

        return leave
