"""What is gathered is told once, later, and a few at a time."""

from __future__ import annotations

import asyncio

from crm_core.kernel.gather import Gather


class Told:
    """Keeps what was told, slice by slice."""

    def __init__(self) -> None:
        self.slices: list[list[int]] = []

    def __call__(self, keys: list[int]) -> None:
        self.slices.append(keys)
        if keys == [13]:
            raise ValueError("not this one")

    async def count(self, keys: int) -> None:
        async with asyncio.timeout(5):
            while sum(len(one) for one in self.slices) < keys:
                await asyncio.sleep(0.001)


async def test_a_key_that_changes_often_is_told_once() -> None:
    told = Told()
    gather = Gather(told, wait_s=0.02, at_once=10, breath_s=0.0)
    for _ in range(5):
        gather.add([1, 2, 1])
    assert told.slices == [] and gather.waiting == 2
    await told.count(2)
    assert told.slices == [[1, 2]] and gather.waiting == 0


async def test_many_are_told_in_slices_with_a_breath_between() -> None:
    told = Told()
    gather = Gather(told, wait_s=0.0, at_once=3, breath_s=0.0)
    gather.add(range(7))
    await told.count(7)
    assert told.slices == [[0, 1, 2], [3, 4, 5], [6]]


async def test_what_comes_while_it_is_told_is_told_after_the_wait() -> None:
    told = Told()
    gather = Gather(told, wait_s=0.03, at_once=10, breath_s=0.0)
    gather.add([1])
    await told.count(1)
    loop = asyncio.get_running_loop()
    at = loop.time()
    gather.add([1])
    await told.count(2)
    assert told.slices == [[1], [1]] and loop.time() - at > 0.02


async def test_a_failure_is_logged_and_the_rest_is_told() -> None:
    told = Told()
    gather = Gather(told, wait_s=0.0, at_once=1, breath_s=0.0)
    gather.add([13, 14])
    await told.count(2)
    assert told.slices == [[13], [14]]
