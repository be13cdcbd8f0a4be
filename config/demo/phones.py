"""Seat telephones without a person: SIPp processes that register extensions and take their calls by themselves.

All seats of one group behave alike and share one process and port. For the demo's busy floor and for tests; a browser's softphone
is something else entirely.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from config.demo.asterisk_tree import AsteriskTree
from config.demo.sipp_process import SippFailed, SippProcess, take_ports
from config.demo.sounds import playable

REGISTERED_S: Final = 86_400
EXTENSION: Final = r"[A-Za-z0-9_-]{1,40}"
SECRET: Final = r"[A-Za-z0-9_.~+/=-]{1,128}"  # noqa: S105 - what one may look like
_CHOICES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What a phone does when it is called; of a span one of twelve values is taken by chance for each call.

    `talk_s` None = it never hangs up itself. `sound` is a WAV file; None = no media. "never" rings until the caller or the
    queue gives up, "busy" refuses with 486.
    """

    answers: Literal["yes", "never", "busy"] = "yes"
    ring_s: tuple[float, float] = (1.0, 3.0)
    talk_s: tuple[float, float] | None = None
    sound: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A call that reached the group: its Call-ID and the whole From header as it came."""

    call_id: str
    from_header: str


class PhoneGroup:
    """Some seats' telephones, alike in habit. `seats` are pairs of extension and secret."""

    def __init__(
        self, tree: AsteriskTree, pbx: tuple[str, int], work: Path, seats: Sequence[tuple[str, str]], habit: Habit
    ) -> None:
        for extension, secret in seats:
            if not re.fullmatch(EXTENSION, extension) or not re.fullmatch(SECRET, secret):
                raise ValueError(f"the phone of {extension!r:.40} can't be registered: letters, digits and _.~+/=- only")
        self._tree = tree
        self._pbx = pbx
        self._work = work
        self._seats = tuple(seats)
        self._habit = habit
        self._process: SippProcess | None = None

    async def start(self, *args: str) -> None:
        """Register all seats (for a day), then wait for calls; SippFailed if the PBX refuses one. `args` go to SIPp as they are."""
        port = take_ports("127.0.0.1", 2)
        await self._register(port, REGISTERED_S)
        await self._play("127.0.0.1", port, args)

    async def _play(self, address: str, port: int, args: Sequence[str]) -> None:
        sound = await asyncio.to_thread(playable, self._habit.sound, self._work / "sounds") if self._habit.sound else None
        self._process = SippProcess(self._tree, self._pbx, self._work, address=address, port=port)
        values = {
            "answers": self._habit.answers,
            "sound": str(sound.absolute()) if sound else "",
            "rings": _spread(self._habit.ring_s),
            "talks": _spread(self._habit.talk_s),
        }
        await self._process.start("phone", values, *args, at_once=1000, media_ports=4 * len(self._seats) + 40)

    async def stop(self) -> None:
        """Go away without a word; the PBX believes in the registrations until `unregister` or their end."""
        if self._process is not None:
            await self._process.stop()

    async def unregister(self) -> None:
        """Stop, and tell the PBX that the phones are gone."""
        if self._process is not None:
            await self._process.stop()
            await self._register(self._process.port, 0)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def folder(self) -> Path:
        """Where SIPp's own traces lie."""
        assert self._process is not None
        return self._process.folder

    def invited(self) -> list[Invited]:
        """The calls that came so far."""
        lines = [line.split(" ", 2) for line in self._said("invited")]
        return [Invited(call_id=line[1], from_header=line[2] if len(line) > 2 else "") for line in lines]

    def count(self, what: Literal["answered", "cancelled", "hung-up-by phone", "hung-up-by pbx"]) -> int:
        """How often the group did this so far."""
        return len(self._said(what))

    def trouble(self) -> str:
        return self._process.trouble() if self._process is not None else ""

    def _said(self, what: str) -> list[str]:
        return [line for line in self._process.log() if line.startswith(f"{what} ")] if self._process is not None else []

    async def _register(self, port: int, expires: int) -> None:
        registrar = SippProcess(self._tree, self._pbx, self._work, port=port)
        lines = [f"{extension};[authentication username={extension} password={secret}]" for extension, secret in self._seats]
        await registrar.start(
            "register",
            {"expires": expires},
            "-timeout",
            "10",
            lines=lines,
            calls=len(lines),
            at_once=min(20, len(lines)),
            rate=50,
        )
        if await registrar.wait() != 0:
            seats = ", ".join(extension for extension, _ in self._seats)
            raise SippFailed("The PBX did not register {seats}: {why}", seats=seats, why=registrar.trouble())


class OutsidePhones(PhoneGroup):
    """People outside who are called over the trunk: the same habits, no registration. `place` is the trunk's address and port."""

    def __init__(self, tree: AsteriskTree, pbx: tuple[str, int], work: Path, place: tuple[str, int], habit: Habit) -> None:
        super().__init__(tree, pbx, work, (), habit)
        self._place = place

    async def start(self, *args: str) -> None:
        """Wait for calls. `args` go to SIPp as they are."""
        await self._play(*self._place, args)

    async def unregister(self) -> None:
        """The same as `stop`: nobody was told that they are there."""
        await self.stop()


def _spread(span: tuple[float, float] | None) -> list[int]:
    """Twelve milliseconds evenly over the span, in random order; one if it has no width, none for None."""
    if span is None:
        return []
    low, high = (max(1, round(1000 * end)) for end in span)
    if high <= low:
        return [low]
    values = [low + (high - low) * index // (_CHOICES - 1) for index in range(_CHOICES)]
    random.shuffle(values)
    return values
