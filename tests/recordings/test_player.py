"""The player: sound by ranges, to those who may listen; every listen leaves one line in the audit log, whichever way it is asked for."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from crm_core.entities.org import Audit
from recordings.web import LISTEN_S
from tests.web.program import Running
from tests.web.things import call_of

SIZE = 44 + 2 * 8000 * 4


async def listens(program: Running, action: str = "listen") -> list[tuple[int, int]]:
    rows = await program.rows(
        select(Audit.user_id, Audit.thing_id).where(Audit.kind == "recording", Audit.action == action).order_by(Audit.id)
    )
    return [(row["user_id"], row["thing_id"]) for row in rows]


@pytest.mark.parametrize(
    ("asked", "status", "length"),
    [
        (None, 200, SIZE), ("bytes=0-", 206, SIZE), ("bytes=0-99", 206, 100), ("bytes=100-199", 206, 100), ("bytes=-50", 206, 50), ("bytes=44-", 206, SIZE - 44),
        (f"bytes={SIZE}-", 416, None), ("bytes=a-b", 416, None), ("bytes=9-1", 416, None), ("octets=0-1", 416, None),
    ],
)  # fmt: skip
async def test_sound_comes_by_ranges(program: Running, asked: str | None, status: int, length: int | None) -> None:
    call_id = await call_of(program, "wang")
    browser = await program.browser("wang")
    answer = await browser.get(f"/recordings/{call_id}/sound", headers={"Range": asked} if asked else {})
    assert answer.status == status
    if length is not None:
        assert len(answer.body) == length
        assert answer.headers["Content-Type"] == "audio/wav" and "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("first", [None, "bytes=0-", "bytes=1-", "bytes=44-", f"bytes=-{SIZE - 44}", "bytes=40000-"])
async def test_a_listen_leaves_one_line_however_it_begins(program: Running, first: str | None) -> None:
    call_id, user_id = await call_of(program, "wang"), await program.user_id("wang")
    browser = await program.browser("wang")
    for asked in (first, "bytes=1000-1999", "bytes=2000-2999"):
        assert (await browser.get(f"/recordings/{call_id}/sound", headers={"Range": asked} if asked else {})).status in (200, 206)
    assert await listens(program) == [(user_id, call_id)]


async def test_listening_again_and_by_somebody_else_are_listens_of_their_own(program: Running) -> None:
    call_id = await call_of(program, "wang")
    for login in ("wang", "wang", "zhang", "qian"):
        await (await program.browser(login)).get(f"/recordings/{call_id}/sound", headers={"Range": "bytes=0-"})
        program.clock.pass_time(LISTEN_S + 1)
    people = [await program.user_id(login) for login in ("wang", "wang", "zhang", "qian")]
    assert await listens(program) == [(user_id, call_id) for user_id in people]


async def test_who_may_not_listen_leaves_no_listen_and_hears_nothing(program: Running) -> None:
    call_id = await call_of(program, "li")
    for login in ("wang", "guest", "heinz", "karla"):
        answer = await (await program.browser(login)).get(f"/recordings/{call_id}/sound")
        assert answer.status in (403, 404) and b"RIFF" not in answer.body
    assert await listens(program) == []


async def test_a_download_is_noted_as_one(program: Running) -> None:
    call_id = await call_of(program, "wang")
    answer = await (await program.browser("zhang")).get(f"/recordings/{call_id}/download")
    assert answer.status == 200 and answer.headers["Content-Disposition"] == f'attachment; filename="{call_id}.wav"'
    assert await listens(program, "download") == [(await program.user_id("zhang"), call_id)]


async def test_a_file_that_is_gone_says_so(program: Running) -> None:
    call_id = await call_of(program, "wang")
    for file in program.program.settings.recordings.folder.rglob("*.wav"):
        file.unlink()
    answer = await (await program.browser("wang")).get(f"/api/v1/recordings/{call_id}/peaks")
    assert answer.status == 404 and answer.json["error"] == "recording_lost"


async def test_a_call_without_recording_says_so_and_is_found_by_its_filter(program: Running) -> None:
    call_id = await call_of(program, "wang", recorded=False)
    browser = await program.browser("wang")
    assert (await browser.get(f"/recordings/{call_id}/sound")).status == 404
    assert (await browser.get(f"/calls/{call_id}")).status == 200
