"""Dying at every write: at each point of the chain in turn the process ends, is started again, and in the end nothing is missing."""

from __future__ import annotations

import os
import random
import time
from itertools import product
from pathlib import Path

import pytest

from tests.chaos.mortal import DEATH
from tests.chaos.run import Run, Shape

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("chaos")]
DEEP = os.environ.get("LINGXI_DEEP") == "1"
OFTEN, SELDOM = ("books.before", "books.written", "books.after"), ("position.put", "numbers.before", "numbers.after")


async def test_the_product_dies_at_every_write(tmp_path: Path) -> None:
    """At the first write of its life, and in the thick of it."""
    seed = int(time.time())
    sentences = [*product(OFTEN, (1, 15)), *product(SELDOM, (1, 3) if DEEP else (1,))]
    random.Random(seed).shuffle(sentences)
    shape = Shape(calls=220 if DEEP else 150, rate=5.0, agents=12, seed=seed, moves=False)
    run = Run(tmp_path, shape, f"sqlite+aiosqlite:///{tmp_path / 'lingxi.sqlite3'}", sentences=list(sentences))
    verdict = await run.go()
    assert not verdict.differences, run.report(verdict)
    assert run.product.codes.count(DEATH) == len(sentences), f"{run.product.codes}\n{run.report(verdict)}"


async def test_the_reader_dies_before_and_after_a_write(tmp_path: Path) -> None:
    await _with_readers(tmp_path, "reader.before", "reader.after")


@pytest.mark.skipif(not DEEP, reason="takes long: LINGXI_DEEP=1 runs it")
async def test_the_reader_dies_with_half_a_message_written(tmp_path: Path) -> None:
    await _with_readers(tmp_path, "reader.half")


async def _with_readers(folder: Path, *points: str) -> None:
    """The main process is killed now and then, and finds each time a reader that is about to die."""
    seed = int(time.time())
    sentences = [(point, passes) for passes, point in product((2, 40), points)]
    shape = Shape(calls=120, rate=8.0, agents=12, seed=seed, moves=False, faults=("kill main",), every_s=(3.0, 3.5))
    run = Run(folder, shape, f"sqlite+aiosqlite:///{folder / 'lingxi.sqlite3'}", reader_sentences=sentences)
    verdict = await run.go()
    assert not run.reader_sentences, f"calls were over before {run.reader_sentences}"
    assert not verdict.differences, run.report(verdict)
