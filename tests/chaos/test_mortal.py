"""Dying at every write: at each point of the chain in turn the process ends, is started again, and in the end nothing is missing."""

from __future__ import annotations

import random
import time
from itertools import product
from pathlib import Path

import pytest

from tests.chaos.mortal import DEATH, POINTS, READER_POINTS
from tests.chaos.run import Run, Shape

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("chaos")]
PASSES = (1, 15)
"""After how many times it dies: at once, and in the thick of it."""


async def test_the_product_dies_at_every_write(tmp_path: Path) -> None:
    seed = int(time.time())
    sentences = [(point, passes) for passes, point in product(PASSES, POINTS)]
    random.Random(seed).shuffle(sentences)
    shape = Shape(calls=240, rate=6.0, agents=12, seed=seed, moves=False)
    run = Run(
        tmp_path, shape, f"sqlite+aiosqlite:///{tmp_path / 'lingxi.sqlite3'}", sentences=[("books.after", 10_000), *sentences]
    )
    verdict = await run.go()
    assert run.product.codes.count(DEATH) == len(sentences), f"{run.product.codes}\n{run.report(verdict)}"
    assert not verdict.differences, run.report(verdict)


async def test_the_reader_dies_at_every_write(tmp_path: Path) -> None:
    seed = int(time.time())
    sentences = [(point, passes) for passes, point in product((2, 40), READER_POINTS)]
    shape = Shape(calls=200, rate=8.0, agents=12, seed=seed, moves=False, faults=("kill main",), every_s=(2.5, 3.5))
    run = Run(tmp_path, shape, f"sqlite+aiosqlite:///{tmp_path / 'lingxi.sqlite3'}", reader_sentences=sentences)
    verdict = await run.go()
    assert not run.reader_sentences, f"calls were over before {run.reader_sentences}"
    assert not verdict.differences, run.report(verdict)
