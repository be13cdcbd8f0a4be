"""The product, or its reader, with a death sentence: it ends without a word the n-th time it comes by a certain point of a write.

    python -m tests.chaos.mortal POINT N          the product, as `lingxi run`
    python -m tests.chaos.mortal reader.POINT N   the reader, with its settings on standard input as ever

Nothing of the product is changed but that the functions which write are wrapped; whoever reads the code of a wrapped one sees that it
does what it always did, up to the end of the world.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final

POINTS: Final = (
    "books.before",  # the writes are in memory, no transaction was begun
    "books.written",  # all statements ran, nothing is committed
    "books.after",  # committed, and nobody was told
    "position.put",  # the journal's position is about to go to the books
    "numbers.before",
    "numbers.after",
)
READER_POINTS: Final = (
    "reader.before",  # bytes came, nothing is on disk
    "reader.half",  # half a message is on disk
    "reader.after",  # on disk, and nobody was told
)
DEATH: Final = 86


class Sentence:
    """Counts how often a point was passed, and ends everything at the n-th."""

    def __init__(self, passes: int) -> None:
        self._left = passes

    def passed(self) -> None:
        """The point was reached."""
        self._left -= 1
        if self._left <= 0:
            os._exit(DEATH)


def sentence(point: str, passes: int) -> None:
    """Wrap what writes at this point."""
    where, _, when = point.partition(".")
    counter = Sentence(passes)
    {"books": _books, "position": _position, "numbers": _numbers, "reader": _reader}[where](when, counter)


def _books(when: str, counter: Sentence) -> None:
    from cti.services.books import Books, Page

    if when == "written":
        _wrap(Page, "now", after=counter.passed)
    else:
        _wrap_async(
            Books, "_commit", before=counter.passed if when == "before" else None, after=counter.passed if when == "after" else None
        )


def _position(_when: str, counter: Sentence) -> None:
    from config import bootstrap

    _wrap(bootstrap, "_write_position", after=counter.passed)


def _numbers(when: str, counter: Sentence) -> None:
    from cti.services.numbering import Numbering

    _wrap_async(
        Numbering,
        "number_some",
        before=counter.passed if when == "before" else None,
        after=counter.passed if when == "after" else None,
    )


def _reader(when: str, counter: Sentence) -> None:
    from cti.pbx.asterisk.journal import Writer

    if when != "half":
        _wrap(
            Writer, "write", before=counter.passed if when == "before" else None, after=counter.passed if when == "after" else None
        )
        return
    whole = Writer._append

    def half(self: Writer, data: bytes) -> None:
        if counter._left == 1:
            whole(self, data[: len(data) // 2])
        counter.passed()
        whole(self, data)

    Writer._append = half  # type: ignore[method-assign]  # for this process alone


def _wrap(owner: Any, name: str, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def wrapped(*args: Any, **kw: Any) -> Any:
        if before is not None:
            before()
        result = real(*args, **kw)
        if after is not None:
            after()
        return result

    setattr(owner, name, wrapped)


def _wrap_async(owner: Any, name: str, before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    async def wrapped(*args: Any, **kw: Any) -> Any:
        if before is not None:
            before()
        result = await real(*args, **kw)
        if after is not None:
            after()
        return result

    setattr(owner, name, wrapped)


def main() -> int:
    """Sentence it, and start it."""
    point, passes = sys.argv[1], int(sys.argv[2])
    sentence(point, passes)
    if point.startswith("reader."):
        from cti.pbx.asterisk import reader

        return reader.main()
    from config import main as lingxi

    sys.argv = ["lingxi", "run"]
    lingxi.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
