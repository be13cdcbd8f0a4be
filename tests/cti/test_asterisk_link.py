"""The line to a real Asterisk when things go wrong: cuts, silence, wrong secrets, restarts, and our own death.

The link runs through a TCP proxy that the test can break, so nothing of the PBX itself is touched, except where it is restarted.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from config.demo.callers import Caller
from config.demo.phones import Habit
from cti.domain.leg import LegPhase
from cti.events import CallAnswered, CallStarted
from cti.pbx.asterisk import commander, event_link, journal
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.asterisk.reader import LOCK_NAME, SOCKET_NAME
from cti.ports import Member, PbxRefused, PbxUnreachable
from tests.cti.tcp_proxy import tcp_proxy
from tests.cti.watch import watching
from tests.lab.asterisk_lab import MANAGER, AsteriskLab, asterisk_lab, private_lab  # noqa: F401  # fixtures, found by name

pytestmark = pytest.mark.pbx
SEAT, OTHER = "1034", "1035"


def driver(port: int, folder: Path, *, secret: str = MANAGER.secret, start_at: str = "") -> AsteriskDriver:
    return AsteriskDriver(host="127.0.0.1", port=port, user=MANAGER.user, secret=secret, journal=folder, start_at=start_at)


def live_picture(board: object) -> tuple[object, ...]:
    """What screens would show, without what nobody can know after a gap."""
    calls = sorted((call.caller, call.phase, call.extensions, call.queue) for call in board.calls())  # type: ignore[attr-defined]
    waits = sorted((wait.queue, wait.caller, wait.position) for wait in board.waiting())  # type: ignore[attr-defined]
    seats = [[(part.phase, part.leg) for part in board.at_extension(seat)] for seat in (SEAT, OTHER)]  # type: ignore[attr-defined]
    return calls, waits, seats


async def test_after_a_cut_the_board_is_what_one_that_heard_all_says(asterisk_lab: AsteriskLab, tmp_path: Path) -> None:  # noqa: F811
    lab = asterisk_lab
    phones = lab.phones([SEAT, OTHER], Habit(ring_s=(0.3, 0.3)))
    await phones.start()
    async with (
        tcp_proxy("127.0.0.1", lab.ports.ami) as proxy,
        watching(driver(proxy.port, tmp_path / "cut")) as cut,
        watching(driver(lab.ports.ami, tmp_path / "whole")) as whole,
    ):
        await whole.driver.set_members([Member(queue="support", extension=SEAT, name="one")])
        stays = asyncio.ensure_future(lab.callers.call(Caller(number="13800000001", to="8001", hold_s=9)))
        await cut.until(lambda: cut.of(CallAnswered))
        waits = await lab.callers.place(Caller(number="13800000002", to="8001", hold_s=2.0))
        await cut.until(lambda: cut.board.waiting("support"))
        proxy.refusing = True
        proxy.cut()
        await cut.until(lambda: cut.downs)
        with pytest.raises(PbxUnreachable):
            await cut.driver.snapshot()
        assert (await waits.result()).ended_by == "caller"  # gave up while nobody listened
        late = asyncio.ensure_future(lab.callers.call(Caller(number="13800000003", to="8001", hold_s=8)))
        await whole.until(lambda: any(wait.caller == "13800000003" for wait in whole.board.waiting()))
        proxy.refusing = False
        await cut.until(lambda: cut.joined == 2)
        assert live_picture(cut.board) == live_picture(whole.board)
        await asyncio.gather(stays, late)
        await cut.until(lambda: len(cut.facts) == 3)
        await whole.until(lambda: len(whole.facts) == 3)
        await whole.driver.set_members([])
    by_caller = {fact.caller: fact for fact in cut.facts}
    true = {fact.caller: fact for fact in whole.facts}
    assert by_caller["13800000002"].unobserved and by_caller["13800000002"].ended_at is None
    for caller in ("13800000001", "13800000003"):
        seen, truth = by_caller[caller], true[caller]
        assert not seen.unobserved
        assert seen.ended_at == truth.ended_at
        assert (seen.outcome, seen.pbx_call_id, [e.outcome for e in seen.entries]) == (
            truth.outcome,
            truth.pbx_call_id,
            [e.outcome for e in truth.entries],
        )
    assert abs(by_caller["13800000001"].segments[0].talk_s - true["13800000001"].segments[0].talk_s) < 0.1
    assert len(cut.of(CallStarted)) == 3
    await phones.unregister()


async def test_a_silent_link_is_dead_after_three_seconds(asterisk_lab: AsteriskLab, tmp_path: Path) -> None:  # noqa: F811
    async with tcp_proxy("127.0.0.1", asterisk_lab.ports.ami) as proxy, watching(driver(proxy.port, tmp_path)) as watch:
        proxy.flowing.clear()
        begun = asyncio.get_running_loop().time()
        await watch.until(lambda: watch.downs)
        assert 2.0 < asyncio.get_running_loop().time() - begun < 4.5
        assert watch.downs == [f"The PBX has said nothing for {event_link.DEAD_S:g} seconds."]
        proxy.flowing.set()
        proxy.cut()
        await watch.until(lambda: watch.joined == 2)


async def test_a_wrong_secret_is_told_in_one_sentence(asterisk_lab: AsteriskLab, tmp_path: Path) -> None:  # noqa: F811
    sentence = f"The PBX refused the name or the secret of its manager account {MANAGER.user}."
    async with watching(driver(asterisk_lab.ports.ami, tmp_path, secret="wrong"), join=False) as watch:
        await watch.until(lambda: sentence in watch.downs)
        with pytest.raises(PbxRefused) as refusal:
            await watch.driver.snapshot()
        assert refusal.value.say == sentence


async def test_a_missing_privilege_is_told_in_one_sentence(
    asterisk_lab: AsteriskLab,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed = commander.NEEDED
    monkeypatch.setattr(commander, "NEEDED", needed | {"Command"})
    async with watching(driver(asterisk_lab.ports.ami, tmp_path), join=False) as watch:
        await watch.until(lambda: watch.downs)
        assert watch.downs[0].startswith(f"The PBX's manager account {MANAGER.user} may not use Command: give it write=")
        assert watch.joined == 0
        monkeypatch.setattr(commander, "NEEDED", needed)  # it was given what it lacked
        await watch.until(lambda: watch.joined == 1)


async def test_nobody_there(tmp_path: Path) -> None:
    async with watching(driver(1, tmp_path), join=False) as watch:
        await watch.until(lambda: "The PBX can't be reached at 127.0.0.1:1: Connection refused." in watch.downs)


async def test_a_restart_of_the_pbx_is_a_new_epoch_and_ends_every_call(private_lab: AsteriskLab, tmp_path: Path) -> None:  # noqa: F811
    lab = private_lab
    phones = lab.phones([SEAT], Habit(ring_s=(0.2, 0.2)))
    await phones.start()
    async with watching(driver(lab.ports.ami, tmp_path / "journal")) as watch:
        before = watch.board.epoch
        await watch.driver.set_members([Member(queue="support", extension=SEAT, name="one")])
        caller = await lab.callers.place(Caller(number="13800000004", to="8001", hold_s=30))
        await watch.until(lambda: watch.of(CallAnswered))
        await lab.process.kill()
        await watch.until(lambda: watch.downs)
        assert [part.phase for part in watch.board.at_extension(SEAT)] == [LegPhase.CONNECTED]  # the last known state
        await asyncio.sleep(1)  # boots are told apart by the second
        await lab.process.start()
        await watch.until(lambda: watch.joined == 2)
        assert watch.board.epoch != before
        (fact,) = watch.facts
        assert (fact.epoch, fact.unobserved, fact.outcome, fact.ended_at) == (before, True, "answered", None)
        assert watch.board.calls() == [] and watch.board.at_extension(SEAT) == ()
        await caller.vanish()
    await phones.stop()


async def test_the_reader_outlives_us_and_is_found_again(asterisk_lab: AsteriskLab, tmp_path: Path) -> None:  # noqa: F811
    lab, folder = asterisk_lab, tmp_path / "journal"
    phones = lab.phones([SEAT], Habit(ring_s=(0.2, 0.2)))
    await phones.start()
    first = driver(lab.ports.ami, folder)
    async with watching(first) as watch:
        await watch.driver.set_members([Member(queue="support", extension=SEAT, name="one")])
        calling = asyncio.ensure_future(lab.callers.call(Caller(number="13800000005", to="8001", hold_s=2)))
        await watch.until(lambda: watch.of(CallStarted))
        position = watch.position
        await first.abandon()
    await calling  # the whole of it while nobody listened
    assert (folder / SOCKET_NAME).exists()
    async with watching(driver(lab.ports.ami, folder, start_at=position)) as again:
        assert again.rebuilt > 0
        await again.driver.set_members([])
    assert not (folder / SOCKET_NAME).exists()  # a clean end ends the reader too
    async with watching(driver(lab.ports.ami, folder, start_at=f"{journal.files(folder)[0]}:0")) as whole:
        await whole.until(lambda: whole.facts)
        (fact,) = whole.facts
        assert (fact.caller, fact.outcome, fact.unobserved) == ("13800000005", "answered", False)
        assert fact.segments[0].talk_s > 1.0
    await phones.unregister()
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert folder.stat().st_mode & 0o077 == 0
    assert MANAGER.secret.encode() not in b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_a_killed_reader_is_replaced(asterisk_lab: AsteriskLab, tmp_path: Path) -> None:  # noqa: F811
    made = driver(asterisk_lab.ports.ami, tmp_path)
    async with watching(made) as watch:
        process = made._reader._process
        assert process is not None
        assert MANAGER.secret not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert MANAGER.secret not in Path(f"/proc/{process.pid}/environ").read_text()
        os.kill(process.pid, signal.SIGKILL)
        await watch.until(lambda: watch.joined == 2)
        assert watch.downs == ["The reader of the PBX's events has ended."]
    assert (tmp_path / LOCK_NAME).exists()


async def test_what_we_cannot_read_is_told_and_passed_over(
    asterisk_lab: AsteriskLab,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of our own reading costs the one event it is about: the line stays up, and the calls are heard."""
    async with watching(driver(asterisk_lab.ports.ami, tmp_path)) as watch:
        feed, faults = watch.driver._translator.feed, [1]

        def faulty(message: object) -> object:
            if faults:
                faults.pop()
                raise KeyError("a header nobody thought of")
            return feed(message)  # type: ignore[arg-type]

        monkeypatch.setattr(watch.driver._translator, "feed", faulty)
        await asterisk_lab.callers.call(Caller(number="13800000008", to="8001", hold_s=0.2))
        assert not faults and watch.downs == [] and watch.joined == 1
        await asterisk_lab.callers.call(Caller(number="13800000009", to="8001", hold_s=0.2))
        await watch.until(lambda: any(fact.caller == "13800000009" for fact in watch.facts))
