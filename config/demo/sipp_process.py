"""One SIPp at work: its scenario file, its ports, its process and what it wrote down.

SIPp is a SIP peer made by others, which is why callers and phones of the demo and the tests are played by it. This module starts
and ends it; what the scenarios mean is known to `callers` and `phones`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from config.demo.asterisk_process import free_ports
from config.demo.asterisk_tree import AsteriskTree
from crm_core.kernel.sentence import Sentence, Trouble

_SCENARIOS: Final = Path(__file__).resolve().parent / "sipp"
_MEDIA: Final = range(30_000, 32_700)
_environment: Final = Environment(
    loader=FileSystemLoader(_SCENARIOS),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - values from outside go over the command line, not into the XML
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_serial: Final = itertools.count(1)
_given: dict[tuple[str, int], float] = {}
_KEPT_S: Final = 5.0  # a port given out is not given again for so long: SIPp needs time to take it


class SippFailed(Trouble):
    """SIPp could not do its work; the sentence holds what it said."""


class BadText(Trouble, ValueError):
    """A text can't be sent in a SIP header."""


def sendable(what: Sentence, text: str, limit: int = 2000) -> str:
    """`text` as it is, if it can stand inside a header: no CR, LF, NUL or other control character; BadText otherwise."""
    if len(text) > limit or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise BadText("{what} must not hold control characters nor be longer than {n}", what=what, n=limit)
    return text


def quoted(name: str) -> str:
    """A display name as a quoted string with a space behind it (RFC 3261 §25.1), "" for none."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" ' if name else ""


def take_ports(address: str, count: int, within: range | None = None) -> int:
    """The first of `count` neighbouring free ports that nobody here was given in the last seconds."""
    now = time.monotonic()
    for key in [key for key, since in _given.items() if now - since > _KEPT_S]:
        del _given[key]
    for _ in range(200):
        if within is None:
            first = free_ports(count, start_even=True, address=address)
        else:
            first = free_ports(count, start_even=True, within=within, address=address)
        if not any((address, port) in _given for port in range(first, first + count)):
            _given.update({(address, port): now for port in range(first, first + count)})
            return first
    raise SippFailed("All ports of {address} that SIPp may use are taken.", address=address)


class SippProcess:
    """A SIPp that plays one scenario towards one PBX from `address`; several calls may run in it."""

    def __init__(
        self, tree: AsteriskTree, pbx: tuple[str, int], work: Path, *, address: str = "127.0.0.1", port: int | None = None
    ) -> None:
        self._tree = tree
        self._pbx = pbx
        self.address = address
        self.port = port if port is not None else take_ports(address, 2)
        self.folder = work.absolute() / f"sipp-{os.getpid()}-{next(_serial)}"
        self._child: asyncio.subprocess.Process | None = None

    async def start(
        self,
        scenario: str,
        values: Mapping[str, object],
        *args: str,
        keys: Mapping[str, str] | None = None,
        lines: Sequence[str] = (),
        calls: int | None = None,
        at_once: int = 1,
        rate: int = 10,
        media_ports: int = 8,
    ) -> None:
        """Start playing. `values` fill the template, `keys` the generic keywords, `lines` the injection file (`;` splits)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if values.get("sound"):  # SIPp takes a path apart at commas and blanks; it works in its folder, so a plain name will do
            (self.folder / "sound.ul").symlink_to(str(values["sound"]))
            values = {**values, "sound": "sound.ul"}
        file = self.folder / f"{scenario}.xml"
        file.write_text(_environment.get_template(f"{scenario}.xml").render(values))
        media = take_ports(self.address, media_ports, _MEDIA)
        words = [
            f"{self._pbx[0]}:{self._pbx[1]}",
            "-sf",
            str(file),
            "-i",
            self.address,
            "-p",
            str(self.port),
            "-mi",
            self.address,
            "-mp",
            str(media),
            "-cp",
            str(take_ports("127.0.0.1", 1)),
            "-l",
            str(at_once),
            "-r",
            str(rate),
            "-nostdin",
            "-trace_err",
            "-error_file",
            str(self.folder / "errors"),
            "-trace_logs",
            "-log_file",
            str(self.folder / "log"),
        ]
        if calls is not None:
            words += ["-m", str(calls)]
        if lines:
            (self.folder / "lines.csv").write_text("SEQUENTIAL\n" + "".join(f"{line}\n" for line in lines))
            words += ["-inf", str(self.folder / "lines.csv")]
        for name, value in (keys or {}).items():
            words += ["-key", name, value]
        with (self.folder / "output").open("wb") as output:
            self._child = await asyncio.create_subprocess_exec(
                *self._tree.sipp(*words, *args),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "LANG": "C.UTF-8"},
            )

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    async def wait(self) -> int:
        """Wait for its end; the exit status (0: every call went as the scenario says)."""
        if self._child is None:
            raise SippFailed("SIPp was not started.")
        return await self._child.wait()

    async def stop(self, grace_s: float = 0.0) -> None:
        """End it. With `grace_s` it may first finish the calls it has."""
        if self._child is None or self._child.returncode is not None:
            return
        if grace_s:
            self._child.send_signal(signal.SIGUSR1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._child.wait(), grace_s)
        if self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    def log(self) -> list[str]:
        """What the scenario's log actions wrote so far."""
        return self._lines("log")

    def trouble(self) -> str:
        """What SIPp complained of, for error messages."""
        return "\n".join(self._lines("errors")[-12:] + self._lines("output")[-6:])[-3000:]

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text(errors="replace").splitlines()
        except OSError:
            return []
