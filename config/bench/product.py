"""The product under measurement: `lingxi run` as it is, in a process of its own, with a settings file and a folder of its own.

Started and ended from outside like any installation; what it uses is read from /proc. Nothing looks into it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from config.bench.processes import HelperFailed, children, cpu_s, waited_s

START_S: Final = 120.0


def free_port() -> int:
    """A port that nobody listens on just now, below the range from which the kernel takes those of outgoing connections."""
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise HelperFailed("There is no free port between 20000 and 32000.")


class Product:
    """A running installation."""

    def __init__(self, folder: Path, database: Path, pbx_port: int, secret: str) -> None:
        self._folder, self.port = folder, free_port()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "lingxi.toml").write_text(
            f'[web]\nport = {self.port}\n[database]\nurl = "sqlite+aiosqlite:///{database}"\n[logs]\nformat = "json"\nlevel = "info"\n'
            f'[[pbx]]\nname = "bench"\nhost = "127.0.0.1"\nami_port = {pbx_port}\nami_user = "lingxi"\nami_secret = "{secret}"\n'
        )
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The main process."""
        assert self._process is not None
        return self._process.pid

    async def start(self, module: tuple[str, ...] = ("config.main", "run")) -> None:
        """Start it and wait until it says that the line to the PBX is up."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LINGXI_")}
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *module, env={**kept, "LINGXI_HOME": str(self._folder)}, stdout=log, stderr=log
            )
        await asyncio.wait_for(self._until("the link to the PBX is up"), START_S)

    async def _until(self, said: str) -> None:
        while said not in self.log():
            assert self._process is not None
            if self._process.returncode is not None:
                raise HelperFailed(f"The product ended:\n{self.log()[-2000:]}")
            await asyncio.sleep(0.1)

    def log(self) -> str:
        """What it said."""
        return (self._folder / "log").read_text(errors="replace")

    def cpu_s(self) -> tuple[float, float]:
        """Processor seconds used so far: by the main process, and by its reader."""
        return cpu_s(self.pid), sum(cpu_s(pid) for pid in children(self.pid))

    def waited_s(self) -> float:
        """Seconds that the main thread was ready to run and had no core."""
        return waited_s(self.pid)

    async def stop(self) -> None:
        """End it as an administrator does, the hard way if it doesn't."""
        if self._process is None or self._process.returncode is not None:
            return
        readers = children(self.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            for pid in readers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
