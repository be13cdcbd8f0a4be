"""People who call in from outside: SIPp behind the demo's trunk, with a number, a name and something to say. With a seat's secret
they are no outsiders: that seat's own phone calls, from its own address.

A caller is one SIPp process, so that it can be told to hang up; a crowd is one process with many calls. The trunk is recognised
by its address: callers use TRUNK_ADDRESS, which on Linux is loopback too, and any port.
"""

from __future__ import annotations

import asyncio
import re
import socket
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from config.demo.asterisk_tree import AsteriskTree
from config.demo.phones import EXTENSION, SECRET
from config.demo.sipp_process import BadText, SippProcess, quoted, sendable
from config.demo.sounds import playable
from crm_core.kernel.sentence import Sentence

TRUNK_ADDRESS: Final = "127.0.0.2"
_REFUSALS: Final = (
    400,
    401,
    403,
    404,
    405,
    408,
    410,
    415,
    420,
    480,
    481,
    482,
    483,
    484,
    486,
    487,
    488,
    500,
    501,
    502,
    503,
    504,
    600,
    603,
    604,
    606,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls which number. `number` "" = withheld. `hold_s` counts from the PBX's answer, waiting in a queue included.

    `sound` is a WAV file played over and over; None = no media at all. `keys` are pressed `keys_after_s` after the answer.
    `name` may hold anything but control characters; `number` too, since what carriers send is not always a number. With `secret`
    the number is the extension of the seat whose phone calls.
    """

    number: str
    to: str
    name: str = ""
    sound: Path | None = None
    hold_s: float = 20.0
    keys: str = ""
    keys_after_s: float = 1.0
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerResult:
    """How it ended for the caller: `code` is the SIP status of the answer or refusal (0 = none came)."""

    answered: bool
    code: int
    ended_by: str  # "caller", "pbx", "" (never answered)
    trouble: str


class LiveCaller:
    """A caller under way."""

    def __init__(self, process: SippProcess, call_id: str) -> None:
        self._process = process
        self._call_id = call_id

    async def result(self) -> CallerResult:
        """Wait for the end of the call."""
        status = await self._process.wait()
        said = dict([*line.split(" ", 2), "", ""][:2] for line in self._process.log())
        answered = "answered" in said
        return CallerResult(
            answered=answered,
            code=200 if answered else int(said.get("refused", "0") or 0),
            ended_by=said.get("hung-up-by", ""),
            trouble="" if status == 0 else self._process.trouble(),
        )

    async def hang_up(self) -> CallerResult:
        """Hang up now (if answered), and wait for the end."""
        here = self._process.address
        lines = (
            f"MESSAGE sip:line@{here} SIP/2.0",
            f"Via: SIP/2.0/UDP {here}:9;branch=z9hG4bK{uuid.uuid4().hex}",
            "From: <sip:test@localhost>;tag=t",
            "To: <sip:line@localhost>",
            f"Call-ID: {self._call_id}",
            "CSeq: 7 MESSAGE",
            "Content-Length: 0",
        )
        message = "\r\n".join(lines) + "\r\n\r\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.sendto(message.encode(), (self._process.address, self._process.port))
        return await asyncio.wait_for(self.result(), 10)

    async def vanish(self) -> None:
        """Disappear without a word, as when a line is cut."""
        await self._process.stop()


class Callers:
    """Places calls over the trunk to the PBX at `pbx` (address, SIP port). `work` is a folder for files that may be thrown away."""

    def __init__(self, tree: AsteriskTree, pbx: tuple[str, int], work: Path, *, address: str = TRUNK_ADDRESS) -> None:
        self._tree = tree
        self._pbx = pbx
        self._work = work
        self._address = address

    async def call(self, caller: Caller) -> CallerResult:
        """Call and wait for the end."""
        return await (await self.place(caller)).result()

    async def place(self, caller: Caller) -> LiveCaller:
        """Start a call. BadText, BadSound or AsteriskMissing before anything is sent."""
        _checked(caller)
        sound = await asyncio.to_thread(playable, caller.sound, self._work / "sounds") if caller.sound else None
        process = SippProcess(self._tree, self._pbx, self._work, address=self._address)
        call_id = f"{uuid.uuid4().hex}@{self._address}"
        values = self._values(sound, caller.hold_s, who="[who]", withheld=not caller.number)
        values |= {"keys": caller.keys, "keys_after": round(caller.keys_after_s * 1000)}
        if caller.secret:
            values["credentials"] = f"[authentication username={caller.number} password={caller.secret}]"
        await process.start(
            "caller",
            values,
            "-s",
            caller.to,
            "-cid_str",
            call_id,
            calls=1,
            keys={"who": _user_part(caller.number), "shown": quoted(caller.name if caller.number else "Anonymous")},
        )
        return LiveCaller(process, call_id)

    async def crowd(
        self, numbers: list[str], to: str, *, calls: int, at_once: int, rate: int, hold_s: float, sound: Path | None = None
    ) -> SippProcess:
        """Many calls of one process, `at_once` of them at any time until `calls` were made; numbers are taken in turn."""
        for number in numbers:
            if not re.fullmatch(r"\+?[0-9]{1,32}", number):
                raise BadText("a crowd's numbers are digits only")
        file = await asyncio.to_thread(playable, sound, self._work / "sounds") if sound else None
        process = SippProcess(self._tree, self._pbx, self._work, address=self._address)
        values = self._values(file, hold_s, who="[field0]", withheld=False)
        await process.start(
            "caller",
            values,
            "-s",
            to,
            lines=numbers,
            calls=calls,
            at_once=at_once,
            rate=rate,
            keys={"shown": ""},
            media_ports=4 * at_once + 8,
        )
        return process

    def _values(self, sound: Path | None, hold_s: float, *, who: str, withheld: bool) -> dict[str, object]:
        return {
            "sound": str(sound.absolute()) if sound else "",
            "hold": max(1, round(hold_s * 1000)),
            "who": who,
            "withheld": withheld,
            "refusals": _REFUSALS,
            "host": "anonymous.invalid" if withheld else "[local_ip]",
            "keys": "",
            "keys_after": 0,
            "credentials": "",
        }


def _checked(caller: Caller) -> None:
    sendable(Sentence("the name"), caller.name)
    sendable(Sentence("the number"), caller.number, 600)
    if not re.fullmatch(r"[A-Za-z0-9+*_.-]{1,64}", caller.to):
        raise BadText("the number called must be digits")
    if not re.fullmatch(r"[0-9*#A-D]{0,40}", caller.keys):
        raise BadText("keys are 0-9, *, # and A-D")
    if caller.secret and not (re.fullmatch(EXTENSION, caller.number) and re.fullmatch(SECRET, caller.secret)):
        raise BadText("a seat's phone calls with its extension and secret")


def _user_part(number: str) -> str:
    """The number as the user part of a SIP URI, what may not stand there percent-encoded (RFC 3261 §19.1.2)."""
    if not number:
        return "anonymous"
    plain = re.compile(rb"[A-Za-z0-9_.!~*'()&=+$,;?/-]")
    return "".join(chr(byte) if plain.fullmatch(bytes([byte])) else f"%{byte:02X}" for byte in number.encode())
