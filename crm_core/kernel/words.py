"""The catalogue: every word people read, in both languages, for pages, scripts, command line and exports.

The message identifier is the English sentence; the Chinese stands in one PO file. The file is read as it is, there is no compiled
copy that could be stale. Placeholders are `{name}`; a placeholder without a value stays as it is, rather than break a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from crm_core.kernel.sentence import Sentence

LANGUAGES = ("zh", "en")
DEFAULT = "zh"
FOLDER = Path(__file__).parent.parent / "locale"


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


@lru_cache(maxsize=1)
def catalogue() -> Catalog:
    """The Chinese catalogue."""
    with (FOLDER / "zh_CN.po").open("rb") as file:
        return read_po(file, locale="zh_CN")


@lru_cache(maxsize=4)
def chinese() -> Mapping[str, str]:
    """Message identifier → Chinese; plurals by their singular, since Chinese has one form."""
    found: dict[str, str] = {}
    for message in catalogue():
        if not message.id:
            continue
        key = message.id if isinstance(message.id, str) else message.id[0]
        text = message.string if isinstance(message.string, str) else (message.string or ("",))[0]
        if text:
            found[key] = text
    return found


def say(lang: str, message: str | Sentence, /, **values: Any) -> str:
    """A message in a language, with its placeholders filled; a sentence brings its own values, and may be one of them."""
    if isinstance(message, Sentence):
        values = {**message.values, **values}
        message = message.message
    text = chinese().get(message, message) if lang == "zh" else message
    said = {name: say(lang, value) if isinstance(value, Sentence) else value for name, value in values.items()}
    return text.format_map(_Lenient(said)) if said else text


def say_many(lang: str, one: str, many: str, n: int, /, **values: Any) -> str:
    """A message that counts something: `one` for 1 in English, else `many`; `{n}` is the count."""
    text = chinese().get(one, many) if lang == "zh" else (one if n == 1 else many)
    return text.format_map(_Lenient(values, n=n))


def pick(accept: str, wanted: str = "") -> str:
    """The language for a person: what they chose, else the first of Accept-Language that we have, else Chinese."""
    if wanted in LANGUAGES:
        return wanted
    for part in accept.split(","):
        code = part.split(";", 1)[0].strip()[:2].lower()
        if code in LANGUAGES:
            return code
    return DEFAULT
