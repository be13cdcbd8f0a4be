"""Records what a real Asterisk says in scenes we play before it: `python -m tests.lab.record NAME…` (or `all`, or `list`).

Each scene has an Asterisk of its own; what its manager interface said becomes tests/captures/NAME.ami, what it wrote into its books
meanwhile NAME.cel (event log) and NAME.queues (log of the queues). What the scenes are is told in `record_scenes`, what the board
shall make of them in tests/captures/NAME.txt, which is written by hand.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.demo.asterisk_tree import AsteriskTree, obtain_tree
from cti.pbx.asterisk.books import EVENTS, QUEUES
from tests.lab.record_scenes import SCENES
from tests.lab.record_stage import Stage

ROOT: Final = Path(__file__).resolve().parents[2]
CAPTURES: Final = ROOT / "tests/captures"
_LONGEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is left of a scene: what was said of it, and what the PBX's two books say."""

    said: bytes
    events: bytes
    queues: bytes

    def keep(self, name: str, folder: Path) -> None:
        """Write it down."""
        for ending, text in (("ami", self.said), ("cel", self.events), ("queues", self.queues)):
            (folder / f"{name}.{ending}").write_bytes(text)


async def record(name: str, tree: AsteriskTree) -> Recorded:
    """Play a scene to its end."""
    with tempfile.TemporaryDirectory(prefix="scene-") as folder:
        stage = Stage(tree, Path(folder))
        async with asyncio.timeout(_LONGEST_S), stage.open():
            try:
                await SCENES[name](stage)
                await stage.over()
            except Exception:
                print(stage.ami.text(Path(folder)).decode(errors="replace")[-6000:], stage.process.last_lines(), file=sys.stderr)
                raise
            await asyncio.sleep(0.3)  # the last words come after the last leg's end
            return Recorded(stage.ami.text(Path(folder)), stage.book(EVENTS), stage.book(QUEUES))


def main(names: list[str]) -> int:
    """Record these scenes one after the other; 1 if one failed."""
    if names == ["list"]:
        print("\n".join(SCENES))
        return 0
    unknown = [name for name in names if name not in SCENES and name != "all"]
    if unknown or not names:
        print(f"Name scenes to record, `all` or `list`; there is no {', '.join(unknown) or 'name'}.", file=sys.stderr)
        return 2
    tree = obtain_tree(Path(os.environ.get("LINGXI_HOME", ROOT / "var")))
    failed = 0
    for name in SCENES if "all" in names else names:
        try:
            told = asyncio.run(record(name, tree))
        except Exception as trouble:
            print(f"{name}: {type(trouble).__name__}: {trouble}", file=sys.stderr)
            failed = 1
            continue
        told.keep(name, CAPTURES)
        print(f"{name}: {told.said.count(b'Event: ')} events, {len(told.events.splitlines())} rows")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
