"""Where in a TOML file a setting stands. The standard reader gives values without lines; complaints need the lines.

It reads headings and keys as people write them, one a line. For forms it does not know (inline tables, dotted keys)
it answers with the line of the block around them. It does not check the file; the standard reader does.
"""

from __future__ import annotations

import re

_HEADING = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\"-]+)\s*=")

Place = tuple[str, int, str]  # block, its number among blocks of that name (0 unless repeated), key ("" = the block itself)


def find_lines(text: str) -> dict[Place, int]:
    """The line, counted from 1, of every block and every key. What stands before the first block is in block ""."""
    lines: dict[Place, int] = {("", 0, ""): 1}
    repeated: dict[str, int] = {}
    block, number = "", 0
    for count, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.match(line):
            block = heading[2].strip('"')
            number = repeated[block] = repeated.get(block, -1) + 1 if heading[1] == "[[" else 0
            lines.setdefault((block, number, ""), count)
        elif key := _KEY.match(line):
            lines.setdefault((block, number, key[1].strip('"')), count)
    return lines


def line_of(lines: dict[Place, int], block: str, number: int, key: str) -> int:
    """The line of a key, of the block around it where the key is not found, or 1."""
    return lines.get((block, number, key)) or lines.get((block, number, "")) or lines.get(("", 0, block)) or 1
