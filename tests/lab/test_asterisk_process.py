"""The child process: ports that stay, words that help when it fails, no orphan left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from config.demo.asterisk_process import AsteriskFailed, free_ports, kept_ports, own_addresses, port_is_free
from cti.pbx.asterisk.provision import write_atomically
from tests.lab.asterisk_lab import AsteriskLab, peers_or_skip, private_lab  # noqa: F401


def test_ports_are_kept_while_they_are_free_and_changed_when_not(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    first = kept_ports(file)
    assert kept_ports(file) == first
    assert max(first.sip, first.ami, first.http, first.rtp_last) < 32768
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", first.sip))
        assert not port_is_free(first.sip)
        assert kept_ports(file) != first
    file.write_text("{")
    assert kept_ports(file).sip


def test_neighbouring_ports_start_even_when_asked() -> None:
    assert free_ports(4, start_even=True) % 2 == 0


def test_own_addresses_are_not_loopback_ones() -> None:
    assert not any(address.startswith("127.") for address in own_addresses())


@pytest.mark.pbx
async def test_it_starts_stops_and_starts_again_on_the_same_ports(private_lab: AsteriskLab) -> None:  # noqa: F811
    process = private_lab.process
    assert process.pid is not None and process.boot_s < 10
    print(f"booted in {process.boot_s:.2f} s")
    ended = asyncio.create_task(process.ended())
    assert await process.stop() == 0
    assert await ended == 0 and process.pid is None
    assert await process.stop() is None
    await process.start()
    assert os.getpgid(process.pid or 0) == process.pid != os.getpgid(0)
    assert "Asterisk" in await process.console("core show version")
    await process.kill()
    assert await process.ended() == -signal.SIGKILL


@pytest.mark.pbx
async def test_a_failed_start_tells_the_last_lines(tmp_path: Path) -> None:
    lab = AsteriskLab(peers_or_skip(), tmp_path)
    (lab.process.home / "db/astdb.sqlite3").mkdir(parents=True)
    with pytest.raises(AsteriskFailed, match=r"(?s)status \d+ while starting.*last lines:\n.+"):
        await lab.process.start()


@pytest.mark.pbx
async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    lab = AsteriskLab(peers_or_skip(), tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", lab.ports.ami))
        with pytest.raises(AsteriskFailed, match=r"(?s)did not come up in time.*last lines:\n.+"):
            await lab.process.start(timeout=4)
    assert lab.process.pid is None


_PARENT = """
import asyncio, sys
from pathlib import Path
from tests.lab.asterisk_lab import AsteriskLab, peers_or_skip
async def main():
    lab = AsteriskLab(peers_or_skip(), Path(sys.argv[1]))
    await lab.process.start()
    print(lab.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.pbx
async def test_it_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    peers_or_skip()
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert alive(child)
    parent.kill()
    await parent.wait()
    deadline = time.monotonic() + 8
    while alive(child) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not alive(child)
    # and what it left does not hinder the next start
    lab = AsteriskLab(peers_or_skip(), tmp_path)
    await lab.process.start()
    await lab.process.stop()


BASE = {
    "extensions.conf": "[general]\nstatic=yes\n\n[theirs]\nexten => 1,1,Hangup()\n",
    "manager.conf": "[general]\nenabled=yes\nbindaddr=127.0.0.1\nport={ami}\ntimestampevents=yes\n",
    "pjsip.conf": "[global]\ntype=global\nendpoint_identifier_order=ip,username\n[theirs]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:{sip}\n",
    "queues.conf": "[general]\npersistentmembers=yes\nautofill=yes\n",
    "sorcery.conf": "",
}


@pytest.mark.pbx
async def test_the_parts_are_taken_in_by_an_asterisk_that_is_there_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from config.demo.asterisk_process import TEMPLATES
    from config.demo.callers import Caller
    from config.demo.phones import Habit
    from tests.lab.asterisk_lab import members

    lab = AsteriskLab(peers_or_skip(), tmp_path)
    etc = lab.process.home / "etc"
    lab.process.configure()
    write_atomically(replace(lab.plan, own=None), TEMPLATES, etc / "lingxi")
    ports = {"ami": lab.ports.ami, "sip": lab.ports.sip}
    for name, text in BASE.items():
        (etc / name).write_text(text.format(**ports) + f"\n#include lingxi/{name}\n")
    monkeypatch.setattr(lab.process, "configure", lambda plan=None: frozenset())
    await lab.process.start()
    try:
        ami = await lab.ami()
        phones = lab.phones(["1001"], Habit(ring_s=(0.1, 0.1), talk_s=(0.5, 0.5)))
        await phones.start()
        async with members(ami, "support", ["1001"]):
            result = await lab.callers.call(Caller(number="13912345678", to="8001", hold_s=10))
        assert (result.answered, result.ended_by) == (True, "pbx")
        await phones.stop()
        await ami.close()
    finally:
        await lab.process.stop()
