"""The product as it is installed: `lingxi run` in a process of its own, with its reader; started, killed, frozen and starved from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

from cti.pbx.asterisk.journal import files
from cti.pbx.asterisk.reader import ReaderSettings, socket_address
from tests.chaos import centre
from tests.peers.need import free_port, leash

START_S: Final = 60.0


class Product:
    """One installation."""

    def __init__(self, home: Path, database: str, bus: str, pbx_port: int, secret: str, books: str) -> None:
        self.home, self.port = home, free_port()
        home.mkdir(parents=True, exist_ok=True)
        self.journal = home / "journal" / centre.PBX
        (home / "lingxi.toml").write_text(
            f'[web]\nport = {self.port}\n[database]\nurl = "{database}"\n[bus]\nurl = "{bus}"\n[logs]\nformat = "json"\nlevel = "info"\n'
            f'[[pbx]]\nname = "{centre.PBX}"\nhost = "127.0.0.1"\nami_port = {pbx_port}\nami_user = "lingxi"\nami_secret = "{secret}"\n'
            f'books = "{books}"\n'
        )
        self.pbx: dict[str, Any] = {"host": "127.0.0.1", "port": pbx_port, "user": "lingxi", "secret": secret}
        self.mortal_reader: asyncio.subprocess.Process | None = None
        self._process: asyncio.subprocess.Process | None = None
        self.kills: list[float] = []
        self.holes: list[tuple[float, float]] = []
        self.codes: list[int] = []  # with which it ended by itself

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, module: tuple[str, ...] = ("config.main", "run")) -> None:
        """Start it; it is not ready yet."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LINGXI_")}
        with (self.home / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *leash(), sys.executable, "-m", *module, env={**kept, "LINGXI_HOME": str(self.home)}, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        """Wait until it hears the PBX and has its database."""
        deadline = time.monotonic() + START_S
        while not await self._is_ready():
            if not self.running or time.monotonic() > deadline:
                raise AssertionError(f"The product is not ready.\n{self.log()[-3000:]}")
            await asyncio.sleep(0.1)

    async def _is_ready(self) -> bool:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        return False

    def log(self) -> str:
        """What it said."""
        return (self.home / "log").read_text(errors="replace")

    # ----------------------------------------------------------------------------------------------------------- faults

    async def kill(self) -> None:
        """As if it had never been there: no word, no clean-up. The reader lives on."""
        if self._process is not None and self.running:
            self.kills.append(time.time())
            self._process.kill()
            await self._process.wait()

    def note_end(self) -> None:
        """It ended, whoever wanted it."""
        assert self._process is not None and self._process.returncode is not None
        if self._process.returncode >= 0:
            self.codes.append(self._process.returncode)
            self.kills.append(time.time())

    async def adopt_reader(self, point: str, passes: int) -> None:
        """Start a reader that will die at a point, before there is a main process that would start one."""
        settings = ReaderSettings(**self.pbx, folder=str(self.journal))
        with (self.home / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.mortal",
                point,
                str(passes),
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        assert process.stdin is not None
        process.stdin.write(settings.to_json() + b"\n")
        process.stdin.close()
        self.mortal_reader = process
        deadline = time.monotonic() + 10
        while process.returncode is None and self.reader_pid() != process.pid and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def freeze(self) -> None:
        """It gets no processor time until `thaw`."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)

    def reader_pid(self) -> int | None:
        """The process that hears the PBX, as it says itself; None where there is none."""
        try:
            address, folder = socket_address(self.journal)
        except FileNotFoundError:
            return None
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(2)
                line.connect(address)
                return int(line.recv(200).split()[2])
        except (OSError, IndexError, ValueError):
            return None
        finally:
            os.close(folder)

    def kill_reader(self) -> bool:
        """The same for the reader."""
        pid = self.reader_pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pid is not None

    async def fill_disk(self, seconds: float) -> None:
        """The reader can write nothing more to its journal for so long."""
        pid, names = self.reader_pid(), files(self.journal)
        if pid is None or not names:
            return
        size, began = (self.journal / names[-1]).stat().st_size, time.time()
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
            await asyncio.sleep(seconds)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        self.holes.append((began, time.time()))

    async def stop(self) -> None:
        """End it as an administrator does, the hard way if it doesn't; its reader too."""
        self.thaw()
        if self._process is not None and self.running:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 20)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self.kill_reader()
