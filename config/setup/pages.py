"""Writes the generated pages of docs/reference anew, from what the program itself knows. A test compares; people edit
the sources.

Now: the settings. Further pages (events, states, records) are functions beside this one, entered in PAGES.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from config.settings import DEFAULTS
from config.setup.seat_page import seat_page
from config.tongue import told

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
_HEAD = """# Settings

Made from `config/default.toml` by `make docs`. Write what you want to change, and only that, into `lingxi.toml` in
the data folder (or name a file in `LINGXI_SETTINGS`); a variable of the environment goes before the file. `lingxi
settings check` tells mistakes with line and cure.
"""


def settings_page() -> str:
    """Every option with its meaning, its default and the variable that overrides it."""
    page, section = [_HEAD], ""
    comment: list[str] = []
    for line in DEFAULTS.read_text(encoding="utf-8").splitlines():
        option = re.fullmatch(r"#?([a-z_]+) = (.*)", line)
        if heading := re.fullmatch(r"#?(\[\[?)([a-z]+)\]\]?", line):
            section = heading[2]
            intro = f"{' '.join(comment)}\n" if section == "pbx" else ""
            page.append(
                f"\n## {heading[1]}{section}{']' * len(heading[1])}\n{intro}| option | default | variable | meaning |\n| --- | --- | --- | --- |"
            )
            comment = []
        elif option:
            variable = f"LINGXI_{section.upper()}__{'NAME__' if section == 'pbx' else ''}{option[1].upper()}"
            page.append(f"| `{option[1]}` | `{option[2]}` | `{variable}` | {' '.join(comment) or 'See the option above.'} |")
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif not line:
            comment = []
    return "\n".join(page) + "\n"


PAGES: dict[str, Callable[[], str]] = {"settings.md": settings_page, "seat-states.md": seat_page}


def main() -> int:
    """Write every page; say which changed."""
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(told("{file} was written.", file=f"docs/reference/{name}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
