"""The pinyin initials of names: 浙江宏远 → zjhy, 重庆 → cq.

pypinyin knows them, but its dictionaries take 55 MB once loaded. Of all that only first letters are needed: one for each character, and
the few words in which a character is read otherwise than alone. A process of its own packs them into a small file beside the data; a
program that has not opened the file asks pypinyin itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

LONGEST: Final = 60


class Packed(msgspec.Struct):
    """`letters` has the initial of each of `characters`; `words` those words whose initials are not those of their characters."""

    characters: str
    letters: str
    words: dict[str, str]


class Initials:
    """Spells names by a packed table."""

    def __init__(self, packed: Packed) -> None:
        self._letters = dict(zip(packed.characters, packed.letters, strict=True))
        self._words = packed.words
        self._lengths = sorted({len(word) for word in packed.words}, reverse=True)
        self._begins = {word[0] for word in packed.words}

    def __call__(self, name: str) -> str:
        """The initials; of what is no Chinese only the first letter of each run."""
        found, at, strange = [], 0, False
        while at < len(name):
            word = self._word_at(name, at)
            letter = self._letters.get(name[at])
            if word:
                found.append(self._words[word])
            elif letter is not None:
                found.append(letter)
            elif not strange:
                found.append(name[at])
            strange = letter is None
            at += len(word) or 1
        return "".join(found)

    def _word_at(self, name: str, at: int) -> str:
        if name[at] not in self._begins:
            return ""
        return next((word for size in self._lengths if (word := name[at : at + size]) in self._words), "")


def pack() -> Packed:
    """Ask pypinyin for everything. Takes a second and 100 MB: run it in a process of its own."""
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

    alone = {character: letters for character in map(chr, PINYIN_DICT) if len(letters := _spelled(character)) == 1}
    packed = Packed("".join(alone), "".join(alone.values()), {})
    for size in range(2, max(map(len, PHRASES_DICT)) + 1):  # a word may hold a shorter one that is read otherwise alone
        spell = Initials(packed)
        new = {word: _spelled(word) for word in PHRASES_DICT if len(word) == size}
        packed.words.update({w: letters for w, letters in new.items() if len(letters) == size and letters != spell(w)})
    return packed


def _spelled(name: str) -> str:
    from pypinyin import Style, lazy_pinyin

    return "".join(part[0] for part in lazy_pinyin(name, style=Style.FIRST_LETTER) if part)


_spell: Callable[[str], str] = _spelled


def initials_of(name: str) -> str:
    """The initials of a name in lower case, at most LONGEST letters."""
    return _spell(name).lower()[:LONGEST]


async def open_initials(folder: Path) -> None:
    """Spell by the packed table from now on; it is packed first where that has not been done."""
    global _spell
    path = folder / f"initials-{version('pypinyin')}.bin"
    if not path.is_file():
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "crm_core.initials", str(path))
        await process.wait()
    try:
        _spell = Initials(msgspec.msgpack.decode(path.read_bytes(), type=Packed))
    except (OSError, msgspec.DecodeError):
        _spell = _spelled


def write(path: Path) -> None:
    """Pack the table into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(msgspec.msgpack.encode(pack()))
    part.replace(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
