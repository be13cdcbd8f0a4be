"""Recordings of manager events as people keep them, turned into messages.

Two forms: raw manager text as it came over the wire, or with a tester's marks in it (lines `> ` were sent, lines `# ` are remarks),
and a JSON array of event objects, header by header, as panoramisk writes them. What makes no sense is named with its line and skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from cti.pbx.asterisk.ami_wire import END, Message, Parser
from cti.pbx.asterisk.translate import HEADERS

Garbage = list[tuple[int, str]]
_SHOWN: Final = 120
_SPELLED: Final = {name.lower(): name for name in HEADERS}
_BREAKS: Final = re.compile(r"[\r\n\0]+")


def messages(lines: Iterable[bytes], garbage: Garbage) -> Iterator[Message]:
    """The messages of a recording in whichever form. Never raises for what is in it."""
    rest, head = iter(lines), list[bytes]()
    for line in rest:
        head.append(line)
        if line.strip():
            break
    # A byte order mark may stand before either form.
    if head and head[-1].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        return _from_json(b"".join([*head, *rest]).decode("utf-8-sig", "replace"), garbage)
    return _from_text(chain(head, rest), garbage)


# ------------------------------------------------------------------------------------------------------------------- text


def _from_text(lines: Iterable[bytes], garbage: Garbage) -> Iterator[Message]:
    parser = Parser()
    for number, block in _blocks(lines):
        good = []
        for offset, line in enumerate(block):
            if b":" in line:
                key, _, value = line.partition(b":")
                good.append(key + b": " + value.lstrip(b" "))
            elif not line.startswith(b"Asterisk Call Manager/"):
                garbage.append((number + offset, line.decode("utf-8", "replace")))
        known = len(good)
        while good and not good[0].startswith((b"Event: ", b"Response: ")):
            good.pop(0)
        if good:
            yield from parser.feed(b"\r\n".join(good) + END)
        elif known:
            garbage.append((number, block[0].decode("utf-8", "replace")))


def _blocks(lines: Iterable[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Lines that belong together, with the number of the first. A new event begins a new block even if the gap was lost."""
    first, block = 1, list[bytes]()
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\r\n")
        mark = line[:2] in (b"> ", b"# ") or line == b">"
        begins = line.startswith(b"Event: ") and block and not block[-1].startswith(b"Asterisk Call Manager/")
        if block and (not line or mark or begins):
            yield first, block
            block = []
        if line and not mark:
            if not block:
                first = number
            block.append(line)
    if block:
        yield first, block


# ------------------------------------------------------------------------------------------------------------------- JSON


def _from_json(text: str, garbage: Garbage) -> Iterator[Message]:
    parser = Parser()
    for line, found in _objects(text, garbage):
        block = _block_of(found) if isinstance(found, dict) else None
        if block is None:
            garbage.append((line, json.dumps(found, ensure_ascii=False)[:_SHOWN]))
        else:
            yield from parser.feed(block)


def _objects(text: str, garbage: Garbage) -> Iterator[tuple[int, Any]]:
    """The values of the array with the lines they begin in; after one that is broken it goes on with the next object."""
    decoder = json.JSONDecoder()
    at, line, counted = text.index("[") + 1, 1, 0
    between = re.compile(r"[\s,]*")
    while True:
        found = between.match(text, at)
        at = found.end() if found else at
        line, counted = line + text.count("\n", counted, at), at
        if at >= len(text) or text[at] == "]":
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            garbage.append((line, text[at : at + _SHOWN].partition("\n")[0]))
            following = text.find("{", at + 1)
            at = following if following > 0 else len(text)
        else:
            yield line, value


def _block_of(event: Mapping[str, Any]) -> bytes | None:
    """An event object as it was on the wire; None where it is no event. Lists are headers that were there more than once."""
    headers = {_SPELLED.get(str(key).lower(), str(key)): value for key, value in event.items()}
    kind = next((kind for kind in ("Event", "Response") if isinstance(headers.get(kind), str) and headers[kind]), None)
    if kind is None:
        return None
    lines = [f"{kind}: {headers.pop(kind)}"]
    for key, value in headers.items():
        lines += [f"{key}: {'' if one is None else one}" for one in (value if isinstance(value, list) else [value])]
    return "\r\n".join(_BREAKS.sub(" ", line) for line in lines).encode("utf-8", "replace") + END
