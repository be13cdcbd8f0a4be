"""The doors: signing in and out, lock-out, sockets and where they come from, feeds and whose they are, and what a strange request gets."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select, update

from crm_core.entities.org import Audit, RoleGrant, Session, User
from crm_core.signin import LOCK_S, MAX_FAILURES, REMEMBER_S, digest
from crm_core.web.pages import dumps
from tests.web.program import PASSWORD, Browser, Running

# ------------------------------------------------------------------------------------------------------------------ signing in


async def test_a_person_signs_in_and_goes_where_they_wanted(program: Running) -> None:
    browser = await program.browser()
    asked = await browser.get("/calls?figure=answered&day=2026-11-18")
    assert asked.status == 303
    async with browser.session.get(program.url + asked.headers["Location"]) as form:
        wanted = re.search(r'name="next" value="([^"]*)"', await form.text())
    assert wanted is not None
    target = wanted[1].replace("&amp;", "&")
    answer = await browser.session.post(
        f"{program.url}/signin", data={"login": "zhang", "password": PASSWORD, "next": target}, allow_redirects=False
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/calls?figure=answered&day=2026-11-18")


@pytest.mark.parametrize(
    "target", ["//evil.example/", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/signin", "/a\r\nb", "x" * 600]
)
async def test_signing_in_leads_to_no_other_place(program: Running, target: str) -> None:
    browser = await program.browser()
    data = {"login": "wang", "password": PASSWORD, "next": target}
    answer = await browser.session.post(f"{program.url}/signin", data=data, allow_redirects=False)
    assert answer.headers["Location"] == "/home"


async def test_the_cookie_is_not_for_scripts_and_the_database_does_not_know_it(program: Running) -> None:
    browser = await program.browser()
    answer = await browser.sign_in("wang")
    cookie = next(text for text in answer.headers.getall("Set-Cookie") if text.startswith("lingxi="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    token = cookie.split("=", 1)[1].split(";")[0]
    sessions = await program.rows(select(Session.__table__))
    assert [s["token_hash"] for s in sessions] == [digest(token)]
    assert token not in str(sessions)


async def test_five_wrong_passwords_lock_the_account_for_a_while(program: Running) -> None:
    browser = await program.browser()
    told = [await (await browser.sign_in("wang", "wrong")).text() for _ in range(5)]
    assert ["3" in text and "wrong" not in text for text in told[1:2]] == [True]
    assert (await browser.sign_in("wang")).status == 403
    program.clock.pass_time(LOCK_S - 10)
    assert (await browser.sign_in("wang")).status == 403
    program.clock.pass_time(20)
    assert (await browser.sign_in("wang")).status == 303
    tries = [row["action"] for row in await program.rows(select(Audit.action).where(Audit.kind == "session"))]
    assert tries.count("sign_in_failed") == 5 and tries.count("sign_in") == 1


async def test_a_right_password_begins_the_count_anew(program: Running) -> None:
    browser = await program.browser()
    for _ in range(2):
        for _ in range(MAX_FAILURES - 1):
            assert (await browser.sign_in("wang", "wrong")).status == 403
        assert (await browser.sign_in("wang")).status == 303


async def test_nobody_learns_whether_a_name_exists(program: Running) -> None:
    browser = await program.browser()
    for _ in range(MAX_FAILURES + 2):
        there = await (await browser.sign_in("wang", "wrong")).text()
        not_there = await (await browser.sign_in("wong", "wrong")).text()
        assert said(there) == said(not_there)


def said(page: str) -> str:
    found = re.search(r'data-test="told"[^>]*>([^<]*)<', page)
    assert found is not None and found[1]
    return found[1]


async def test_somebody_who_left_the_house_gets_in_no_more(program: Running) -> None:
    browser = await program.browser("wang")
    async with program.program.database.begin() as db:
        await db.execute(update(User).where(User.login == "wang").values(active=False))
    program.clock.pass_time(REMEMBER_S + 1)
    assert (await browser.get("/api/v1/calls")).status == 401
    assert (await (await program.browser()).sign_in("wang")).status == 403


async def test_a_right_taken_away_is_gone_within_seconds(program: Running) -> None:
    browser = await program.browser("wang")
    assert (await browser.get("/api/v1/customers")).status == 200
    async with program.program.database.begin() as db:
        await db.execute(update(RoleGrant).where(RoleGrant.role == "agent", RoleGrant.kind == "customer").values(scope=0))
    program.clock.pass_time(REMEMBER_S + 1)
    assert (await browser.get("/api/v1/customers")).status == 403


async def test_a_session_ends_after_its_hours(program: Running) -> None:
    browser = await program.browser("wang")
    program.clock.pass_time(program.program.settings.web.session_hours * 3600 + 1)
    assert (await browser.get("/api/v1/calls")).status == 401


async def test_a_password_is_changed_by_who_knows_the_old_one(program: Running) -> None:
    browser = await program.browser("wang")
    new = "a much better sentence"
    assert (await browser.put("/api/v1/me/password", {"old": "guess", "new": new})).status == 400
    for weak in ("short", "wang wang wang wang", "aaaaaaaaaaaa"):
        assert (await browser.put("/api/v1/me/password", {"old": PASSWORD, "new": weak})).json["error"] == "weak_password"
    assert (await browser.put("/api/v1/me/password", {"old": PASSWORD, "new": new})).status == 204
    fresh = await program.browser()
    assert (await fresh.sign_in("wang")).status == 403
    assert (await fresh.sign_in("wang", new)).status == 303


# ----------------------------------------------------------------------------------------------------------------- signing out


async def test_after_signing_out_the_cookie_is_dead_and_the_socket_closed(program: Running) -> None:
    browser = await program.browser("zhang")
    cookies = {c.key: c.value for c in browser.session.cookie_jar}
    async with browser.socket() as socket:
        await socket.join("floor")
        assert (await browser.post("/signout")).status == 303
        while await socket.next() is not None:
            pass
        assert socket.closed == 4401
    async with aiohttp.ClientSession(cookies=cookies) as thief:
        assert (await thief.get(f"{program.url}/api/v1/calls")).status == 401
        assert (await thief.put(f"{program.url}/api/v1/me/looks", json={}, headers={"X-CSRF-Token": browser.csrf})).status == 401


async def test_a_form_from_elsewhere_signs_nobody_out_or_in(program: Running) -> None:
    browser, foreign = await program.browser("wang"), {"Origin": "https://evil.example"}
    cookies = {c.key: c.value for c in browser.session.cookie_jar}
    await browser.post("/signout", headers=foreign)
    async with aiohttp.ClientSession(cookies=cookies) as same:
        assert (await same.get(f"{program.url}/api/v1/calls")).status == 200
    data = {"login": "wang", "password": PASSWORD}
    answer = await (await program.browser()).session.post(
        f"{program.url}/signin", data=data, headers=foreign, allow_redirects=False
    )
    assert answer.status == 403 and "Set-Cookie" not in answer.headers


# --------------------------------------------------------------------------------------------------------------------- sockets


@pytest.mark.parametrize("path", ["/ws", "/sip"])
@pytest.mark.parametrize(
    "origin", [None, "https://evil.example", "null", "file://", "http://127.0.0.1.evil.example", "http://127.0.0.1"]
)
async def test_a_socket_from_a_foreign_page_or_none_is_refused(program: Running, path: str, origin: str | None) -> None:
    await program.sit("wang", "8001")
    browser = await program.browser("wang")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with browser.socket(path, origin):
            pass
    assert refusal.value.status == 403


async def test_a_socket_needs_somebody_signed_in(program: Running) -> None:
    for browser in (await program.browser(), await program.token("wang", "seat:use", "call:see")):
        headers = {"Origin": program.url, **({"Authorization": f"Bearer {browser.token}"} if browser.token else {})}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with browser.session.ws_connect(f"{program.url}/ws", headers=headers):
                pass
        assert refusal.value.status in (200, 403)  # the form to sign in is no socket either


async def test_the_phone_s_socket_is_for_who_sits_at_a_browser_seat(program: Running) -> None:
    await program.sit("li", "8011")
    await program.sit("wang", "8001")
    refusals = {}
    for login in ("li", "zhang", "qian", "wang"):
        browser = await program.browser(login)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with browser.socket("/sip"):
                pass
        refusals[login] = refusal.value.status
    assert refusals == {"li": 409, "zhang": 409, "qian": 403, "wang": 503}  # nothing answers behind wang's: there is no sound here


FEEDS = """
desk    wang=yes  li=yes  zhang=yes  qian=no  admin=no   guest=no  heinz=yes  karla=yes
floor   wang=no   li=no   zhang=yes  qian=no  admin=yes  guest=no  heinz=no   karla=yes
secret  wang=no   li=no   zhang=no   qian=no  admin=no   guest=no  heinz=no   karla=no
"""


@pytest.mark.parametrize("line", FEEDS.strip().splitlines(), ids=lambda line: line.split()[0])
async def test_a_feed_opens_for_those_whose_it_is(program: Running, line: str) -> None:
    feed, *cells = line.split()
    for cell in cells:
        login, expected = cell.split("=")
        async with (await program.browser(login)).socket() as socket:
            told = await socket.join(feed)
        assert told["t"] == ("snapshot" if expected == "yes" else "refused"), cell
        if expected == "no":
            assert told["say"] and "state" not in told


async def test_a_declared_feed_has_a_line_in_the_table(program: Running) -> None:
    assert set(program.program.sockets.doors) == {line.split()[0] for line in FEEDS.strip().splitlines()} - {"secret"}


async def test_a_floor_shows_its_own_unit_only(program: Running) -> None:
    await program.sit("wang", "8001")
    for login, name in (("zhang", "王小明"), ("karla", "Heinz")):
        async with (await program.browser(login)).socket() as socket:
            told = await socket.join("floor")
        assert {row["name"] for row in told["state"]["seats"].values()} >= {name}
        assert len([row for row in told["state"]["seats"].values() if row["name"] in ("王小明", "Heinz")]) == 1


async def test_a_desk_hears_nothing_of_a_colleague_s(program: Running) -> None:
    await program.sit("wang", "8001")
    li = await program.sit("li", "8002", state="paused", reason="lunch")
    async with (await program.browser("wang")).socket() as mine, li.socket() as other:
        await mine.join("desk")
        await other.join("desk")
        program.call(number="13900007777")
        await mine.until(lambda s: s["desk"]["calls"])
        await program.hang_up_all()
        await mine.until(lambda s: not s["desk"]["calls"])
        await other.until(lambda s: s["desk"]["queues"]["vip"]["waiting"] == 0)
    assert other.state["desk"]["calls"] == {} and "7777" not in "".join(other.raw)


async def test_a_tab_that_comes_back_gets_what_it_missed_and_no_more(program: Running) -> None:
    wang = await program.sit("wang", "8001")
    async with wang.socket() as socket:
        first = await socket.join("desk")
        before = copy.deepcopy(first["state"])
        await wang.post("/api/v1/seat/state", {"state": "paused", "reason": "lunch"})
        await socket.until(lambda s: s["desk"]["seat"]["me"]["state"] == "paused")
    async with wang.socket() as socket:
        socket.state["desk"] = before
        await socket.say(t="join", feed="desk", since=first["cursor"])
        await socket.until(lambda s: s["desk"]["seat"]["me"]["state"] == "paused")
        assert {m["t"] for m in socket.heard} == {"welcome", "event"}
        await socket.say(t="join", feed="desk", since="not a cursor")
        assert (await told_of(socket, "snapshot"))["state"]["seat"]["me"]["reason"] == "lunch"


async def told_of(socket: Any, kind: str) -> dict[str, Any]:
    while (told := await socket.next()) is not None:
        if told["t"] == kind:
            return dict(told)
    raise AssertionError("the socket was closed")


# ----------------------------------------------------------------------------------------------------------------- well and safe


async def test_pages_carry_their_security_headers(program: Running) -> None:
    browser: Browser = await program.browser("zhang")
    for path in ("/floor", "/me", "/calls", "/customers", "/signin", "/no/such/page"):
        headers = (await browser.get(path)).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("text", ["</script><script>", "<!--", "\u2028\u2029", "]]>"])
def test_data_in_a_page_can_not_end_its_script(text: str) -> None:
    written = dumps({text: [text]})
    assert "<" not in written and "\u2028" not in written and "\u2029" not in written
    assert json.loads(written) == {text: [text]}


async def test_metrics_are_not_open_to_the_world_and_count_by_status(program: Running) -> None:
    browser = await program.browser("wang")
    await browser.get("/api/v1/calls/1")
    text = (await browser.get("/metrics")).text
    assert 'lingxi_requests_total{method="GET",route="/api/v1/calls/{id}",status="404"} 1.0' in text
    assert (await browser.get("/healthz")).json == {"status": "ok"}
    assert (await browser.get("/readyz")).json["checks"] == {"database": "ok", "pbx demo": "ok", "pbx other": "ok"}


async def test_the_public_address_of_a_proxy_is_an_origin_of_ours(program: Running) -> None:
    """A proxy that does not hand on the Host: the settings name the address people type."""
    browser = await program.browser("wang")
    origins = frozenset({"https://cc.example"})
    program.program.sockets.origins = program.program.sip._origins = origins
    headers = {"Origin": "https://cc.example"}
    async with browser.session.ws_connect(f"{program.url}/ws", headers=headers):
        pass
    data = {"login": "li", "password": PASSWORD}
    fresh = await program.browser()
    answer = await fresh.session.post(f"{program.url}/signin", data=data, headers=headers, allow_redirects=False)
    assert answer.status == 303
