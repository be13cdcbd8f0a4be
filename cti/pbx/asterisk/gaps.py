"""What happened while nobody listened to Asterisk, read from its books and put in its place in the stream of what was heard.

Where the link comes up in the stream, everything between the last thing heard and that moment is told first, as batches of their own.
It knows when the link was away; what rows mean is told by `past`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from cti.pbx.asterisk.ami_wire import END, LINK
from cti.pbx.asterisk.books import BOOT, Books
from cti.pbx.asterisk.channel_names import ExtensionOf
from cti.pbx.asterisk.journal import files
from cti.pbx.asterisk.past import boots, past_of
from cti.pbx_events import Booted, LinkDown, LinkUp, PbxEvent
from cti.ports import Batch

log = structlog.get_logger(__name__)
MARGIN_S: Final = 1.0  # the PBX stamps what it tells when it tells it, so the books have it earlier; told twice does no harm
LOOK_BACK_S: Final = 3600.0  # who waited or dialled when the link went away
SETTLE_S: Final = 0.2  # the books are written a moment after the fact
_TAIL: Final = 64 * 1024
_LINK: Final = f"Event: {LINK}\r\n".encode()  # what the journal says of the link itself, by our clock
_STAMP: Final = re.compile(rb"\r\nTimestamp: (\d+\.\d+)")


class Gaps:
    """Fills the gaps of one stream. `folder` holds the books, None where there are none."""

    def __init__(self, folder: Path | None, extension_of: ExtensionOf, journal: Path) -> None:
        self._books = None if folder is None else Books(folder)
        self._extension_of = extension_of
        self._journal = journal
        self._heard_at: float | None = None
        self._epoch = ""
        self._position = ""

    def begin(self, position: str) -> None:
        """The stream is read from here on; what was heard last stands before it."""
        self._position = position
        if self._heard_at is None:
            self._heard_at = last_stamp(self._journal, position)

    async def filled(self, batch: Batch) -> list[Batch]:
        """The batch, and before a link that comes up in it what happened meanwhile."""
        if not batch.of_link:
            self._note(batch.events)
            self._position = batch.position
            return [batch]
        found: list[Batch] = []
        rest = list(batch.events)
        while (place := _link_up(rest)) is not None and self._books is not None:
            self._note(rest[:place])
            link = rest[place]
            if place:
                found.append(Batch(events=rest[:place], position=self._position, rebuilt=batch.rebuilt))
            found += await self._missed(link, live=not batch.rebuilt)
            self._note([link])
            found.append(Batch(events=rest[place : place + 2], position=self._position, rebuilt=batch.rebuilt))
            rest = rest[place + 2 :]
        self._note(rest)
        self._position = batch.position
        return [*found, Batch(events=rest, position=batch.position, rebuilt=batch.rebuilt)]

    def _note(self, events: Sequence[PbxEvent]) -> None:
        for event in events:
            if isinstance(event, Booted):
                self._epoch = event.epoch
            elif event.at is not None and not isinstance(event, (LinkUp, LinkDown)):
                self._heard_at = event.at

    async def _missed(self, link: PbxEvent, *, live: bool) -> list[Batch]:
        assert self._books is not None
        assert isinstance(link, Booted)
        if self._heard_at is None:
            return []
        since = self._heard_at - MARGIN_S
        if live:
            await asyncio.sleep(SETTLE_S)
        # Read back later, the books hold more than the gap: calls, and boots of the PBX, that came after it.
        until = link.at if link.at is not None else float("inf")
        try:
            return await asyncio.to_thread(self._told, self._books, since, until, link)
        except OSError as error:
            log.warning("the PBX's books could not be read", why=error.strerror)
            return []

    def _told(self, books: Books, since: float, until: float, link: Booted) -> list[Batch]:
        """Batches of what is news; what belongs to another boot of the PBX than the one that is up now has that boot told first."""
        queues = [row for row in books.queues(since - LOOK_BACK_S) if row.at <= until]
        booted_at = max((row.at for row in queues if row.kind == BOOT and row.at < since - 1), default=0)
        rows = books.events(max(since - LOOK_BACK_S, booted_at - 1), until, over_by=since)  # before a boot nobody was anywhere
        known = self._epoch == link.epoch  # then all that was of boots before has been told
        up_since = max((row.at for row in queues if row.kind == BOOT), default=0)
        parts = list(boots(rows))
        found: list[Batch] = []
        told = 0
        for number, part in enumerate(parts):
            of_link = bool(part) and number == len(parts) - 1 and (part[0].at >= up_since)
            if known and not of_link:
                continue
            events = past_of(part, queues, since, self._extension_of)
            told += len(events)
            if of_link and not known and (number or up_since):
                events.insert(0, Booted(epoch=link.epoch, at=part[0].at))
            if events:
                found.append(Batch(events=events, position=self._position, rebuilt=True, unheard=True))
        if told:
            log.info("a gap was filled from the PBX's books", seconds=round((link.at or since) - since, 1), events=told)
        return found


def _link_up(events: Sequence[PbxEvent]) -> int | None:
    """Where in these the link comes up: a boot with the link after it."""
    for place in range(len(events) - 1):
        if isinstance(events[place], Booted) and isinstance(events[place + 1], LinkUp):
            return place
    return None


def last_stamp(journal: Path, position: str) -> float | None:
    """The PBX's time in the last thing that stands in the journal before a position; None where nothing does."""
    name, _, offset = position.rpartition(":")
    for one in reversed([file for file in files(journal) if file <= name]):
        try:
            file = os.open(journal / one, os.O_RDONLY)
        except OSError:
            continue
        try:
            end = int(offset) if one == name else os.fstat(file).st_size
            start = max(end - _TAIL, 0)
            blocks = os.pread(file, end - start, start).split(END)
            stamps = [found[1] for block in blocks if not block.startswith(_LINK) and (found := _STAMP.search(block))]
        finally:
            os.close(file)
        if stamps:
            return float(stamps[-1])
    return None
