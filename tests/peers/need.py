"""What happens when a peer is not installed: skipped with a sentence, or failed where the run insists on all peers."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import pytest

LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000  # below the range from which the kernel takes ports for outgoing connections


def missing(what: str, package: str) -> NoReturn:
    """Skip the test with one sentence; fail it where LINGXI_REQUIRE_PEERS=1."""
    sentence = f"{what} is not installed; on Debian or Ubuntu: apt-get install {package}"
    if os.environ.get("LINGXI_REQUIRE_PEERS") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on just now."""
    for port in random.sample(range(LOWEST_PORT, HIGHEST_PORT), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {LOWEST_PORT} and {HIGHEST_PORT}")


def program(name: str, *folders: str) -> Path | None:
    """Where a program is: on the PATH or in one of the folders (patterns; the newest of several is taken)."""
    found = shutil.which(name)
    if found:
        return Path(found)
    candidates = [path for folder in folders for path in sorted(Path("/").glob(folder.lstrip("/") + "/" + name))]
    return candidates[-1] if candidates else None


def leash() -> list[str]:
    """What to put before a command so that it dies with this process, however that ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
