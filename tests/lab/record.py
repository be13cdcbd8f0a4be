"""Records what a real Asterisk says in scenes we play before it: `python -m tests.lab.record NAME…` (or `all`, or `list`).

Each scene has an Asterisk of its own; what its manager interface said becomes tests/captures/NAME.ami. What the scenes are is
told in `record_scenes`, what the board shall make of them in tests/captures/NAME.txt, which is written by hand.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from config.demo.asterisk_tree import AsteriskTree, obtain_tree
from tests.lab.record_scenes import SCENES
from tests.lab.record_stage import Stage

ROOT: Final = Path(__file__).resolve().parents[2]
CAPTURES: Final = ROOT / "tests/captures"
_LONGEST_S: Final = 60.0


async def record(name: str, tree: AsteriskTree) -> bytes:
    """Play a scene to its end; what was said."""
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
            return stage.ami.text(Path(folder))


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
        (CAPTURES / f"{name}.ami").write_bytes(told)
        print(f"{name}: {told.count(b'Event: ')} events")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
