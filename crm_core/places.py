"""Where a number belongs and which carrier gave it out, from the phonenumbers package's tables, held small.

The package's own tables take 110 MB once loaded. Here they are packed into sorted arrays of a few MB, by a process of its own that
ends afterwards, and kept in a file beside the data. Longest prefix wins; what is in no table is "".
"""

from __future__ import annotations

import asyncio
import os
import sys
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import phonenumbers

LANGUAGES = ("zh", "en")
LONGEST = 11  # digits of the longest prefix in any table


class Packed(msgspec.Struct):
    """Prefixes in order, and for each the index of its words (zh, en)."""

    prefixes: bytes
    words_of: bytes
    words: list[tuple[str, str]]


class Table:
    """One packed table, ready to be asked."""

    def __init__(self, packed: Packed) -> None:
        self._prefixes = array("Q", packed.prefixes)
        self._words_of = array("I", packed.words_of)
        self._words = packed.words
        self._found = lru_cache(maxsize=4096)(self._find)

    def find(self, digits: str, lang: str) -> str:
        """The words of the longest prefix of these digits."""
        return self._found(digits[:LONGEST])[lang != "zh"]

    def _find(self, digits: str) -> tuple[str, str]:
        for length in range(min(LONGEST, len(digits)), 1, -1):
            prefix = int(digits[:length])
            at = bisect_left(self._prefixes, prefix)
            if at < len(self._prefixes) and self._prefixes[at] == prefix:
                return self._words[self._words_of[at]]
        return "", ""


class Places:
    """Places and carriers of numbers."""

    def __init__(self, places: Table, carriers: Table) -> None:
        self._places, self._carriers = places, carriers

    def place(self, key: str, lang: str) -> str:
        """Where a number belongs (`key` in E.164)."""
        return self._places.find(key[1:], lang) if key.startswith("+") else ""

    def carrier(self, key: str, lang: str) -> str:
        """The carrier a mobile number was given out by."""
        return self._carriers.find(key[1:], lang) if key.startswith("+") else ""


NOWHERE = Places(Table(Packed(b"", b"", [])), Table(Packed(b"", b"", [])))


def pack(source: Mapping[str, Mapping[str, str]]) -> Packed:
    """Pack a table of prefix → language → words."""
    index: dict[tuple[str, str], int] = {}
    rows = []
    for prefix, words in source.items():
        english = words.get("en") or next(iter(words.values()))
        pair = (words.get("zh") or english, english)
        rows.append((int(prefix), index.setdefault(pair, len(index))))
    rows.sort()
    return Packed(array("Q", [r[0] for r in rows]).tobytes(), array("I", [r[1] for r in rows]).tobytes(), list(index))


def write(path: Path) -> None:
    """Pack the package's tables into a file. Takes a second and 150 MB: run it in a process of its own."""
    geocoder, carrier = (import_module(f"phonenumbers.{name}") for name in ("geocoder", "carrier"))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    tables: tuple[Any, Any] = (pack(geocoder.GEOCODE_DATA), pack(carrier.CARRIER_DATA))
    part.write_bytes(msgspec.msgpack.encode(tables))
    part.replace(path)


async def open_places(folder: Path) -> Places:
    """The tables of the installed package, packed first where that has not been done. Without them numbers have no place."""
    path = folder / f"places-{phonenumbers.__version__}-{sys.byteorder}.bin"
    if not path.is_file():
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "crm_core.places", str(path))
        await process.wait()
    try:
        places, carriers = msgspec.msgpack.decode(path.read_bytes(), type=tuple[Packed, Packed])
    except (OSError, msgspec.DecodeError):
        return NOWHERE
    return Places(Table(places), Table(carriers))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
