"""One Asterisk of our own, run as a child of ours: its folders and ports, its start, its end.

Knows how a private Asterisk is laid out around the configuration that `cti.pbx.asterisk.provision` renders. It is no driver:
of the manager interface it speaks only the login, to learn that the PBX is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import json
import random
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

from config.demo.asterisk_tree import AsteriskTree
from crm_core.kernel.sentence import Trouble
from cti.pbx.asterisk.provision import OwnPlan, PbxPlan, Ports, write_atomically

TEMPLATES: Final = Path(__file__).resolve().parent.parent / "asterisk"
# Below the range from which the kernel gives clients their ports (32768): a client's socket must not sit on ours.
_SERVICE_PORTS: Final = range(10_000, 20_000)
_MEDIA_PORTS: Final = range(20_000, 30_000)
_RTP_SPAN: Final = 1000
_PR_SET_PDEATHSIG: Final = 1
_FOLDERS: Final = (
    "etc",
    "var/keys",
    "db",
    "data/agi-bin",
    "data/sounds",
    "spool/monitor",
    "spool/outgoing",
    "spool/tmp",
    "spool/recording",
    "run",
    "log/cdr-csv",
    "log/cel-custom",
)


class AsteriskFailed(Trouble):
    """Asterisk did not come up or went away; the sentence ends with its last words."""


# ---------------------------------------------------------------------------------------------------------------- ports


def port_is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether both UDP and TCP could be had at this moment."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_ports(count: int, *, start_even: bool = False, within: range = _SERVICE_PORTS, address: str = "127.0.0.1") -> int:
    """The first of `count` neighbouring ports that are free now for UDP and TCP, chosen at random."""
    for _ in range(400):
        first = random.randrange(within.start, within.stop - count)  # noqa: S311 - a port is no secret
        if start_even:
            first -= first % 2
        if all(port_is_free(port, address) for port in range(first, first + count)):
            return first
    raise AsteriskFailed(
        "There are no {n} free ports in a row between {first} and {last}: end what holds them.",
        n=count,
        first=within.start,
        last=within.stop,
    )


def kept_ports(path: Path, address: str = "127.0.0.1") -> Ports:
    """The ports of the last start, if `path` has them and all are still free; else new ones, written there."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        ports = Ports(**json.loads(path.read_text()))
        media = (ports.rtp_first, ports.rtp_first + 1, ports.rtp_last)
        if all(port_is_free(port, address) for port in (ports.sip, ports.ami, ports.http, *media)):
            return ports
    first = free_ports(3, address=address)
    media_first = free_ports(8, start_even=True, within=range(_MEDIA_PORTS.start, _MEDIA_PORTS.stop - _RTP_SPAN), address=address)
    ports = Ports(sip=first, ami=first + 1, http=first + 2, rtp_first=media_first, rtp_last=media_first + _RTP_SPAN - 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(ports)))
    return ports


def own_addresses() -> tuple[str, ...]:
    """The IPv4 addresses of this machine that are not loopback ones, from the kernel's own table."""
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        return ()
    found = {
        before.split()[-1]
        for before, line in itertools.pairwise(lines)
        if "/32 host LOCAL" in line and before.strip().startswith("|--")
    }
    return tuple(sorted(address for address in found if not address.startswith("127.")))


def own_plan(tree: AsteriskTree, home: Path, *, address: str = "127.0.0.1") -> OwnPlan:
    """The folders and ports of a private Asterisk below `home` (absolute); ports are remembered in home/ports.json."""
    home = home.resolve()
    run = home / "run"
    if len(str(run).encode()) > 80:
        run = Path(tempfile.mkdtemp(prefix="lingxi-pbx-"))
    return OwnPlan(
        home=str(home),
        run=str(run),
        modules=str(tree.modules),
        music=str(tree.music or ""),
        ports=kept_ports(home / "ports.json", address),
        address=address,
        ice_hosts=own_addresses() if address == "127.0.0.1" else (),
    )


# -------------------------------------------------------------------------------------------------------------- process


class AsteriskProcess:
    """A private Asterisk as a child process: `start`, `stop`, `restart`, and `ended` for whoever wants to know of its death.

    It runs in a process group of its own, so that Ctrl-C at our terminal reaches only us, and gets SIGTERM when we die.
    """

    def __init__(self, plan: PbxPlan, tree: AsteriskTree) -> None:
        if plan.own is None:
            raise ValueError("the plan has no folders and ports of its own")
        self.plan = plan
        self.tree = tree
        self.own = plan.own
        self.home = Path(self.own.home)
        self.boot_s = 0.0
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def books(self) -> Path:
        """The folder of Asterisk's own books."""
        return self.home / "log"

    @property
    def recordings(self) -> Path:
        """The folder in which Asterisk writes recordings."""
        return self.home / "spool/monitor"

    def configure(self, plan: PbxPlan | None = None) -> frozenset[str]:
        """Write the configuration of `plan` (the one given last, if None); the names of the files that changed."""
        if plan is not None:
            self.plan = plan
        return write_atomically(self.plan, TEMPLATES, self.home / "etc")

    async def start(self, timeout: float = 30.0) -> None:
        """Start and return once Asterisk is fully booted; AsteriskFailed with its last lines if it does not come up."""
        if self.pid is not None:
            return
        self._lay_out()
        self.configure()
        began = time.monotonic()
        with (self.home / "log/console").open("wb") as console:
            self._child = await asyncio.create_subprocess_exec(
                *self.tree.asterisk("-f", "-C", str(self.home / "etc/asterisk.conf")),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env=self._environment(),
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        await self._booted(began + timeout)
        self.boot_s = time.monotonic() - began

    async def stop(self, timeout: float = 10.0) -> int | None:
        """End it (calls too); its exit status, None if it was not running."""
        child = self._child
        if child is None or child.returncode is not None:
            return None
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), timeout)
        except TimeoutError:
            child.kill()
            await child.wait()
        return child.returncode

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        """End it as a crash would, without a chance to tidy up (for tests)."""
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    async def ended(self) -> int:
        """Wait for the end of the process, whoever caused it; its exit status (negative: the signal)."""
        if self._child is None:
            raise AsteriskFailed("Asterisk was never started.")
        return await self._child.wait()

    async def console(self, command: str, timeout: float = 20.0) -> str:
        """What Asterisk's own command line answers; for people and tests, never for decisions."""
        asking = await asyncio.create_subprocess_exec(
            *self.tree.asterisk("-C", str(self.home / "etc/asterisk.conf"), "-rx", command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment(),
        )
        said, _ = await asyncio.wait_for(asking.communicate(), timeout)
        return said.decode(errors="replace")

    def last_lines(self, count: int = 12) -> str:
        """The end of what Asterisk said on its console and in its log."""
        lines: list[str] = []
        for name in ("log/messages", "log/console"):
            with contextlib.suppress(OSError):
                lines += (self.home / name).read_text(errors="replace").splitlines()[-count:]
        return "\n".join(lines[-count:])

    def _environment(self) -> dict[str, str]:
        # One arena a call thread would otherwise be kept for ever: 500 MB after some thousand calls instead of 320.
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8", "TZ": "UTC", "MALLOC_ARENA_MAX": "2"}

    def _lay_out(self) -> None:
        for folder in _FOLDERS:
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        Path(self.own.run).mkdir(parents=True, exist_ok=True)
        for name in ("documentation", "rest-api", "static-http"):
            _point(self.home / "data" / name, self.tree.share / name)
        _point(self.home / "data/sounds/en", self.tree.sounds)

    async def _booted(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            assert self._child is not None
            if self._child.returncode is not None:
                raise AsteriskFailed(
                    "Asterisk ended with status {status} while starting. Its last lines:\n{lines}",
                    status=self._child.returncode,
                    lines=self.last_lines(),
                )
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                await asyncio.wait_for(self._hear_booted(), max(0.1, deadline - time.monotonic()))
                return
            await asyncio.sleep(0.03)  # nothing tells when the port opens
        await self.stop()
        raise AsteriskFailed("Asterisk did not come up in time. Its last lines:\n{lines}", lines=self.last_lines())

    async def _hear_booted(self) -> None:
        reader, writer = await asyncio.open_connection(self.own.address, self.own.ports.ami)
        try:
            login = self.plan.manager
            writer.write(f"Action: Login\r\nUsername: {login.user}\r\nSecret: {login.secret}\r\nEvents: system\r\n\r\n".encode())
            while line := await reader.readline():
                if line.startswith(b"Event: FullyBooted"):
                    return
                if line.startswith(b"Message: Authentication failed"):
                    raise AsteriskFailed("Another Asterisk answers on our manager port: end it, or remove ports.json.")
            raise EOFError
        finally:
            writer.close()


def _end_with_parent() -> None:
    """Runs in the child before Asterisk: the kernel sends it SIGTERM when our process ends, however that comes about."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


_libc = ctypes.CDLL(None, use_errno=True)


def _point(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target`, replacing one that leads elsewhere."""
    if link.is_symlink() and link.readlink() != target:
        link.unlink()
    if not link.is_symlink():
        link.symlink_to(target)
