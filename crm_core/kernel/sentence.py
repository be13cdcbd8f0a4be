"""A sentence for people that is put into words later: its message in the catalogue, and what fills the placeholders.

Whoever makes it does not know who will read it. `str()` is the English, which is what logs say; `words.say` says it in a reader's
language. It loads no catalogue.
"""

from __future__ import annotations

from typing import Any


class Sentence:
    """A message with its values; a value may be a sentence too, and is then said in the same language."""

    __slots__ = ("message", "values")

    def __init__(self, message: str, /, **values: Any) -> None:
        self.message = message
        self.values = values

    def __str__(self) -> str:
        return self.message.format(**self.values) if self.values else self.message

    def __repr__(self) -> str:
        return f"Sentence({str(self)!r})"


class Trouble(Exception):
    """What went wrong, told as a sentence to whom it concerns."""

    def __init__(self, message: str | Sentence, /, **values: Any) -> None:
        self.sentence = message if isinstance(message, Sentence) else Sentence(message, **values)
        super().__init__(str(self.sentence))
