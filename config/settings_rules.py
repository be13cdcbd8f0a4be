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


class Rule(Protocol):
    """Says what is wrong with a value, in one sentence that holds the cure; "" when nothing is."""

    def __call__(self, value: object) -> str: ...


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def __call__(self, value: object) -> str:
        fits = isinstance(value, int | float) and self.low <= value <= self.high
        return "" if fits else f"it must be from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """One of these words; for a list: nothing but these words, at least one, none twice."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> str:
        chosen = value if isinstance(value, tuple) else (value,)
        fits = chosen and len(set(chosen)) == len(chosen) and all(word in self.words for word in chosen)
        many = "one or more of" if isinstance(value, tuple) else "one of"
        return "" if fits else f"write {many}: {', '.join(self.words)}"


@dataclass(frozen=True)
class Address:
    """A URL with one of these schemes; nothing at all, or one of the `words`, is fine as well."""

    schemes: tuple[str, ...]
    words: tuple[str, ...] = ("",)

    def __call__(self, value: object) -> str:
        if value in self.words:
            return ""
        try:
            parts = urlsplit(str(value))
            fits = parts.scheme in self.schemes and (bool(parts.netloc) or "sqlite" in parts.scheme) and parts.port != 0
        except ValueError:
            fits = False
        return "" if fits else f"write an address that begins with {' or '.join(s + '://' for s in self.schemes)}"


@dataclass(frozen=True)
class Pattern:
    """Text that matches as a whole; `say` is the cure."""

    regex: str
    say: str

    def __call__(self, value: object) -> str:
        return "" if re.fullmatch(self.regex, str(value)) else self.say


def networks(value: object) -> str:
    """A list of networks such as 10.0.0.0/8."""
    for item in value if isinstance(value, tuple) else ():
        try:
            ipaddress.ip_network(item)
        except ValueError:
            return f"{item!r} is no network; write one like 10.0.0.0/8 or 192.168.1.7/32"
    return ""


def regular_expression(value: object) -> str:
    """A regular expression that compiles."""
    try:
        re.compile(str(value))
    except re.error as failure:
        return f"it is no regular expression ({failure}); write one like [1-8][0-9]{{3}}"
    return ""


def region(value: object) -> str:
    """A country of the telephone world."""
    return "" if value in phonenumbers.SUPPORTED_REGIONS else "write the two letters of a country, such as CN, HK or DE"
