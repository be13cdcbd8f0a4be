"""What a single setting may be.

Rules that answer with a complaint and its cure. They look at one value and open no file.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import phonenumbers

from crm_core.kernel.sentence import Sentence


class Rule(Protocol):
    """Says what is wrong with a value, in one sentence that holds the cure; None when nothing is."""

    def __call__(self, value: object) -> Sentence | None: ...


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def __call__(self, value: object) -> Sentence | None:
        fits = isinstance(value, int | float) and self.low <= value <= self.high
        return None if fits else Sentence("it must be from {low} to {high}", low=f"{self.low:g}", high=f"{self.high:g}")


@dataclass(frozen=True)
class OneOf:
    """One of these words; for a list: nothing but these words, at least one, none twice."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> Sentence | None:
        chosen = value if isinstance(value, tuple) else (value,)
        fits = chosen and len(set(chosen)) == len(chosen) and all(word in self.words for word in chosen)
        if fits:
            return None
        words = ", ".join(self.words)
        if isinstance(value, tuple):
            return Sentence("write one or more of: {words}", words=words)
        return Sentence("write one of: {words}", words=words)


@dataclass(frozen=True)
class Address:
    """A URL with one of these schemes; nothing at all, or one of the `words`, is fine as well."""

    schemes: tuple[str, ...]
    words: tuple[str, ...] = ("",)

    def __call__(self, value: object) -> Sentence | None:
        if value in self.words:
            return None
        try:
            parts = urlsplit(str(value))
            fits = parts.scheme in self.schemes and (bool(parts.netloc) or "sqlite" in parts.scheme) and parts.port != 0
        except ValueError:
            fits = False
        if fits:
            return None
        begin: str | Sentence = f"{self.schemes[0]}://"
        for scheme in self.schemes[1:]:
            begin = Sentence("{one} or {other}", one=begin, other=f"{scheme}://")
        return Sentence("write an address that begins with {scheme}", scheme=begin)


@dataclass(frozen=True)
class Pattern:
    """Text that matches as a whole; `say` is the cure."""

    regex: str
    say: str

    def __call__(self, value: object) -> Sentence | None:
        return None if re.fullmatch(self.regex, str(value)) else Sentence(self.say)


def networks(value: object) -> Sentence | None:
    """A list of networks such as 10.0.0.0/8."""
    for item in value if isinstance(value, tuple) else ():
        try:
            ipaddress.ip_network(item)
        except ValueError:
            return Sentence("{item} is no network; write one like 10.0.0.0/8 or 192.168.1.7/32", item=repr(item))
    return None


def regular_expression(value: object) -> Sentence | None:
    """A regular expression that compiles."""
    try:
        re.compile(str(value))
    except re.error as failure:
        return Sentence("it is no regular expression ({why}); write one like {example}", why=failure, example="[1-8][0-9]{3}")
    return None


def region(value: object) -> Sentence | None:
    """A country of the telephone world."""
    known = value in phonenumbers.SUPPORTED_REGIONS
    return None if known else Sentence("write the two letters of a country, such as CN, HK or DE")
