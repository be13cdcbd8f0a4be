"""The reader as a process of its own: never too slow for the PBX, nothing torn, alone for a while but not for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.pbx.asterisk.ami_wire import Parser
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.asterisk.journal import Tail
from cti.pbx.asterisk.reader import SOCKET_NAME
from cti.pbx.asterisk.reader_link import ReaderLink
from tests.cti.fake_ami import FakeAmi
from tests.cti.watch import watching


@pytest.fixture
def ami() -> Iterator[FakeAmi]:
    server = FakeAmi()
    yield server
    server.stop()


def driver(ami: FakeAmi, folder: Path, **options: float) -> AsteriskDriver:
    return AsteriskDriver(host="127.0.0.1", port=ami.port, user="u", secret="s", journal=folder, **options)  # type: ignore[arg-type]


async def test_a_program_that_stalls_loses_nothing_though_the_pbx_waits_only_100_ms(ami: FakeAmi, tmp_path: Path) -> None:
    async with watching(driver(ami, tmp_path)) as watch:
        assert watch.board.epoch == "2026-11-22T01:02:03"
        flood = threading.Thread(target=ami.flood, args=(2.5, 6000))
        flood.start()
        time.sleep(3.0)  # this program stands still; the reader does not
        flood.join()
        await watch.until(lambda: len(watch.facts) == ami.sent // 4, timeout=20)
        assert ami.dropped == 0
        assert ami.sent >= 10_000
        assert {str(fact.outcome) for fact in watch.facts} == {"abandoned"}
        assert watch.downs == []


async def test_half_a_message_is_never_kept(ami: FakeAmi, tmp_path: Path) -> None:
    async with watching(driver(ami, tmp_path)) as watch:
        await asyncio.sleep(0.2)  # for a second from now on it is asked nothing
        ami.say(b"\xff\x00 noise\r\n\r\nEvent: Newchannel\r\nUniqueid: to")
        await asyncio.sleep(0.2)
        assert ami._client is not None
        ami._client.close()
        await watch.until(lambda: watch.downs)
        await watch.until(lambda: ami.logins == 2)
        data = b"".join(piece for piece, _ in Tail(tmp_path).read())
        assert b"Uniqueid: to" not in data and b"noise" in data
        names = [m.name for m in Parser().feed(data)]
        assert names.count("LingxiLink") >= 2


async def test_a_reader_left_alone_ends_after_its_time(ami: FakeAmi, tmp_path: Path) -> None:
    made = driver(ami, tmp_path, orphan_s=1.0)
    async with watching(made, join=False) as watch:
        await watch.until(lambda: watch.board.epoch)
        await made.abandon()
        assert (tmp_path / SOCKET_NAME).exists()
        async with asyncio.timeout(5):
            while (tmp_path / SOCKET_NAME).exists():
                await asyncio.sleep(0.05)
    data = b"".join(piece for piece, _ in Tail(tmp_path).read())
    assert data.rstrip().endswith(b"Why: The reader was stopped.")


async def test_a_full_disk_does_not_stop_the_live_stream(ami: FakeAmi, tmp_path: Path) -> None:
    """The journal's folder lies on a file system of 64 kB, made for the test where that is allowed. The hole is told in the journal."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = await asyncio.create_subprocess_exec("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(folder))
    if await mount.wait() != 0:
        pytest.skip("a small file system can't be mounted here")
    try:
        async with watching(driver(ami, folder), join=False) as watch:
            await watch.until(lambda: watch.board.epoch)
            await asyncio.to_thread(ami.flood, 1.0, 2000)
            await watch.until(lambda: len(watch.facts) == ami.sent // 4, timeout=20)
            assert ami.dropped == 0
            late = ReaderLink(watch.driver._reader._settings)  # type: ignore[attr-defined]  # whoever comes now hears of the hole
            hello = await late.open()
            await late.leave()
            assert hello.hole_since is not None and 0 < time.time() - hello.hole_since < 60
            remount = await asyncio.create_subprocess_exec("mount", "-o", "remount,size=2m", str(folder))  # somebody makes room
            assert await remount.wait() == 0
            await asyncio.to_thread(ami.flood, 0.1, 10)
            await watch.until(lambda: watch.downs == ["No disk took what the PBX said."])
            await watch.until(lambda: len(watch.facts) == ami.sent // 4)
        assert b"Why: No disk took what the PBX said." in b"".join(piece for piece, _ in Tail(folder).read())
    finally:
        await (await asyncio.create_subprocess_exec("umount", "-l", str(folder))).wait()
