"""Things that happen at a moment: small programs that say how long they wait, run in order of time. No thread, no loop, no sleep.

A program is a generator: it yields the seconds it waits at most, and is sent True if somebody woke it before they were over. With a
clock it runs beside the real time; without one, time is where the programs are, and a whole day passes in an instant.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from itertools import count

Steps = Generator[float, bool, None]


class Task:
    """A program that runs."""

    __slots__ = ("begun", "over", "steps", "turn", "woken")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.turn = 0  # which of its waits counts: what stands in the heap with another number was overtaken
        self.begun = False
        self.woken = False
        self.over = False


class Clockwork:
    """Runs programs. `start` is the moment it begins with where there is no clock."""

    def __init__(self, clock: Callable[[], float] | None = None, start: float = 0.0) -> None:
        self._clock = clock
        self._now = start if clock is None else clock()
        self._heap: list[tuple[float, int, int, Task]] = []
        self._order = count()
        self._tasks: set[Task] = set()
        self._running: Task | None = None

    @property
    def now(self) -> float:
        """The present moment."""
        return self._now if self._clock is None else self._clock()

    @property
    def next_at(self) -> float | None:
        """When the next thing happens, if anything does."""
        while self._heap and (self._heap[0][3].over or self._heap[0][2] != self._heap[0][3].turn):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def start(self, steps: Steps, after: float = 0.0) -> Task:
        """Let a program run, beginning after so many seconds."""
        task = Task(steps)
        self._tasks.add(task)
        self._wait(task, after)
        return task

    def wake(self, task: Task) -> None:
        """Let a program that waits go on at once. One that runs just now, or has ended, is left alone."""
        if not task.over and task is not self._running:
            task.woken = True
            self._wait(task, 0.0)

    def run(self, until: float) -> None:
        """Do everything that is due by then."""
        while (at := self.next_at) is not None and at <= until:
            task = heapq.heappop(self._heap)[3]
            self._now = max(self._now, at)
            self._step(task)

    def end_all(self) -> None:
        """Every program ends where it stands."""
        tasks, self._tasks = self._tasks, set()
        self._heap.clear()
        for task in tasks:
            task.over = True
            task.steps.close()

    def _step(self, task: Task) -> None:
        woken, task.woken = task.woken, False
        self._running = task
        try:
            wait = task.steps.send(woken) if task.begun else next(task.steps)
            task.begun = True
        except StopIteration:
            task.over = True
            self._tasks.discard(task)
        else:
            self._wait(task, wait)
        finally:
            self._running = None

    def _wait(self, task: Task, seconds: float) -> None:
        task.turn += 1
        heapq.heappush(self._heap, (self.now + max(seconds, 0.0), next(self._order), task.turn, task))
