"""Fetches the Asterisk that demo and tests use, ahead of time and with a word about it. Starts nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from config.demo.asterisk_tree import AsteriskMissing, obtain_tree
from config.tongue import told


def main() -> int:
    """0 where an Asterisk is at hand, 1 where none can be had."""
    try:
        tree = obtain_tree(Path(os.environ.get("LINGXI_HOME") or "var"))
    except AsteriskMissing as missing:
        print(told(missing.sentence), file=sys.stderr)
        return 1
    print(told("Asterisk {version} is at hand.", version=tree.version))
    return 0


if __name__ == "__main__":
    sys.exit(main())
