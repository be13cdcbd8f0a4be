"""Who may do what: every declared route, for every role, on what is one's own, a colleague's and another unit's, with a session and with
a token, against a table that people can read. A route without a line in the table fails, as does a line without a route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from crm_core.entities.org import RoleGrant
from crm_core.web.api import Route
from tests.web.program import PASSWORD, Answer, Browser, Running
from tests.web.things import call_of, customer_called, import_of, record_of

ASKERS = {"agent": "wang", "supervisor": "zhang", "reviewer": "qian", "administrator": "admin", "guest": "guest"}

# yes   allowed                               own   allowed on one's own, refused on a colleague's and another unit's
# no    refused                               unit  allowed on everything of the unit, refused on another unit's
# live  allowed to ask; nothing is there      -     tried by a test of its own below
TABLE = """
GET  /                                    yes   yes   yes   yes   yes
GET  /home                                yes   yes   yes   yes   yes
GET  /me                                  yes   yes   yes   yes   yes
GET  /ws                                  -     -     -     -     -
GET  /sip                                 -     -     -     -     -
GET  /floor                               no    yes   no    yes   no
GET  /floor/queues                        no    yes   no    yes   no
GET  /customers                           yes   yes   yes   yes   no
GET  /customers/new                       yes   yes   no    yes   no
GET  /customers/{id}                      unit  unit  unit  unit  no
GET  /customers/{id}/edit                 unit  unit  no    unit  no
GET  /customers/{id}/timeline             unit  unit  unit  unit  no
GET  /calls                               yes   yes   yes   yes   no
GET  /calls/{id}                          own   unit  unit  unit  no
GET  /recordings/{id}/sound               own   unit  unit  unit  no
GET  /recordings/{id}/download            no    unit  no    unit  no
GET  /demo                                yes   yes   yes   yes   no
GET  /api/v1/words                        yes   yes   yes   yes   yes
GET  /api/v1/seats                        yes   yes   no    no    no
GET  /api/v1/phone                        yes   yes   no    no    no
GET  /api/v1/customers                    yes   yes   yes   yes   no
GET  /api/v1/customers/{id}               unit  unit  unit  unit  no
GET  /api/v1/calls                        yes   yes   yes   yes   no
GET  /api/v1/calls/{id}                   own   unit  unit  unit  no
GET  /api/v1/recordings/{id}/peaks        own   unit  unit  unit  no
GET  /api/v1/references                   -     -     -     -     -
GET  /search                              yes   yes   yes   yes   yes
GET  /api/v1/search                       yes   yes   yes   yes   yes
GET  /system                              -     -     -     -     -
GET  /system/dictionary                   no    yes   no    yes   no
GET  /api/v1/system/dictionary            no    yes   no    yes   no
POST /api/v1/system/dictionary/options    no    yes   no    yes   no
PUT  /api/v1/system/dictionary/options    no    yes   no    yes   no
PUT  /api/v1/system/dictionary/order      no    yes   no    yes   no
GET  /system/roles                        no    no    no    yes   no
GET  /system/roles/preview                no    no    no    yes   no
GET  /api/v1/system/roles                 no    no    no    yes   no
GET  /api/v1/system/roles/preview         no    no    no    yes   no
POST /api/v1/system/roles/effects         no    no    no    yes   no
PUT  /api/v1/system/roles                 no    no    no    yes   no
DELETE /api/v1/views/{id}                 -     -     -     -     -
POST /api/v1/customers                    yes   yes   no    yes   no
PUT  /api/v1/customers/{id}               unit  unit  no    unit  no
PUT  /api/v1/me/looks                     yes   yes   yes   yes   yes
PUT  /api/v1/me/password                  yes   yes   yes   yes   yes
POST /api/v1/seat/sign-in                 yes   yes   no    no    no
POST /api/v1/seat/state                   yes   yes   no    no    no
POST /api/v1/seat/finish                  yes   yes   no    no    no
POST /api/v1/seat/sign-out                yes   yes   no    no    no
POST /api/v1/dial                         yes   yes   no    no    no
POST /api/v1/calls/{id}/hang-up           live  live  no    no    no
PUT  /api/v1/calls/{id}/notes             own   own   no    no    no
PUT  /api/v1/calls/{id}/customer          own   own   no    no    no
POST /api/v1/demo/call                    yes   yes   yes   yes   no
"""
# The rights on records, by what is done; each line stands for all routes that do it. In `many`, what is not one's own is left as it is.
RECORDS = """
tickets     see     unit  unit  unit  unit  no
tickets     create  yes   yes   no    yes   no
tickets     edit    unit  unit  no    unit  no
tickets     delete  no    unit  no    unit  no
tickets     purge   no    no    no    unit  no
tickets     export  no    yes   no    yes   no
follow-ups  see     unit  unit  unit  unit  no
follow-ups  create  yes   yes   no    yes   no
follow-ups  edit    own   unit  no    unit  no
follow-ups  delete  own   unit  no    unit  no
follow-ups  purge   no    no    no    unit  no
follow-ups  export  no    yes   no    yes   no
tasks       see     unit  unit  no    unit  no
tasks       create  yes   yes   no    yes   no
tasks       edit    own   unit  no    unit  no
tasks       delete  own   unit  no    unit  no
tasks       purge   no    no    no    unit  no
tasks       export  no    yes   no    yes   no
products    see     unit  unit  unit  unit  no
products    create  no    yes   no    yes   no
products    edit    no    unit  no    unit  no
products    delete  no    unit  no    unit  no
products    purge   no    no    no    unit  no
products    export  no    yes   no    yes   no
"""
DOES = {
    "see": """GET /{} / GET /api/v1/{} / GET /api/v1/{}/ids / POST /api/v1/{}/views / GET /{}/{id} / GET /api/v1/{}/{id} / GET /api/v1/{}/{id}/history
              / GET /api/v1/{}/{id}/comments / POST /api/v1/{}/{id}/comments""",
    "create": """GET /{}/new / POST /api/v1/{} / GET /{}/import / POST /api/v1/{}/imports / GET /{}/import/{id} / GET /{}/import/{id}/rejected.csv
                 / GET /api/v1/{}/imports/{id} / PUT /api/v1/{}/imports/{id} / POST /api/v1/{}/imports/{id}/check / POST /api/v1/{}/imports/{id}/run
                 / POST /api/v1/{}/imports/{id}/stop / POST /api/v1/{}/imports/{id}/undo""",
    "edit": "GET /{}/{id}/edit / PUT /api/v1/{}/{id} / POST /api/v1/{}/{id}/stage / POST /api/v1/{}/many/fields / POST /api/v1/{}/many/stage",
    "delete": "POST /api/v1/{}/many/restore / POST /api/v1/{}/many/recycle",
    "purge": "POST /api/v1/{}/many/purge",
    "export": "GET /{}/export.csv",
}
WITHOUT_STAGES = ("follow-ups", "products")
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/customers": {"name": "新客户"},
    "PUT /api/v1/customers/{id}": {"region": "杭州"},
    "PUT /api/v1/me/looks": {"theme": "dark"},
    "PUT /api/v1/me/password": {"old": "not this one", "new": "whatever it is"},
    "POST /api/v1/seat/state": {"state": "ready"},
    "POST /api/v1/demo/call": {"dial": "057188000001", "number": "13800000000", "wait_s": 1},
    "PUT /api/v1/calls/{id}/notes": {"text": "noted"},
}


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    method: str
    path: str
    cells: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def lines() -> Iterator[Line]:
    for line in TABLE.strip().splitlines():
        method, path, *cells = line.split()
        yield Line(method, path, dict(zip(ASKERS, cells, strict=True)))
    for line in RECORDS.strip().splitlines():
        kind, does, *cells = line.split()
        for method, path in (one.split() for one in DOES[does].split(" / ")):
            if kind in WITHOUT_STAGES and path.endswith("/stage"):
                continue
            one_by_one = "{id}" in path or "/many/" in path
            known = [cell if one_by_one or cell == "no" else "yes" for cell in cells]
            if "/import" in path and one_by_one:  # an import is its maker's only; the table's own file has no rejected rows
                known = ["no" if cell == "no" else "none" if path.endswith(".csv") else "own" for cell in cells]
            yield Line(method, path.replace("{}", kind), dict(zip(ASKERS, known, strict=True)))


def refused(answer: Answer) -> bool:
    if answer.status == 200 and b'"refused"' in answer.body[:200]:
        told = answer.json
        return not told["done"] and set(told["refused"]) <= {"not_found", "not_allowed"}
    return answer.status in (401, 403, 404)


class Things:
    """What each asker tries: their own, a colleague's, another unit's."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.own_customer = self.foreign_customer = 0
        self.seat_id = self.point_id = ""
        self.records: dict[tuple[str, str], str] = {}
        self.imports: dict[tuple[str, str], str] = {}

    @classmethod
    async def made(cls, running: Running) -> Things:
        found = cls()
        for login in (*ASKERS.values(), "li", "heinz"):
            found.calls[login] = await call_of(running, login)
        found.own_customer = await customer_called(running, "杭州同号公司")
        found.foreign_customer = await customer_called(running, "Schmidt GmbH")
        found.seat_id = await running.seat_id("8003")
        for kind in running.program.records.registry:
            for login in (*ASKERS.values(), "li", "heinz"):
                found.records[kind.entity.path, login] = await record_of(running, kind, login)
                found.imports[kind.entity.path, login] = await import_of(running, kind, login)
        return found

    def tries(self, line: Line, login: str) -> list[tuple[str, str, str]]:
        """Paths with whose they are (own, colleague's, foreign), and what they are about."""
        kind = line.path.removeprefix("/api/v1").split("/")[1]
        if (kind, login) in self.records and ("{id}" in line.path or "/many/" in line.path):
            known = self.imports if "/import" in line.path else self.records
            ids = [(known[kind, who], whose) for who, whose in ((login, "own"), ("li", "colleague's"), ("heinz", "foreign"))]
            return [(line.path.replace("{id}", i), whose, i) for i, whose in ids]
        return [(path, whose, "") for path, whose in self.others(line, login)]

    def others(self, line: Line, login: str) -> list[tuple[str, str]]:
        if "{id}" not in line.path:
            return [(line.path, "own")]
        if "customers" in line.path:
            ids = [(self.own_customer, "own"), (self.foreign_customer, "foreign")]
        else:
            ids = [(self.calls[login], "own"), (self.calls["li"], "colleague's"), (self.calls["heinz"], "foreign")]
        return [(line.path.replace("{id}", str(i)), whose) for i, whose in ids]

    def body(self, line: Line, about: str) -> Any:
        if line.method == "GET":
            return None
        if "/imports/" in line.path:
            return {}
        if "/many/" in line.path:
            more = {"fields": {"fields": {}}, "stage": {"stage": "nowhere"}}.get(line.path.rpartition("/")[2], {})
            return {"ids": [about], **more}
        if line.path.endswith("/views"):
            return {"name": "mine", "query": "q=x"}
        if about:
            return {"comments": {"text": "said"}, "stage": {"stage": "nowhere"}}.get(line.path.rpartition("/")[2], {"version": 1})
        if line.path.endswith("/seat/sign-in"):
            return {"seat_id": self.seat_id, "take_over": True}
        if line.path.endswith("/customer"):
            return {"customer_id": str(self.own_customer)}
        if line.path.endswith("/dial"):
            return {"contact_point_id": "1"}
        return BODIES.get(line.name)


def wrong(cell: str, whose: str, answer: Answer) -> bool:
    """Whether the answer is not what the table says."""
    code = (
        answer.json.get("error", "")
        if answer.headers.get("Content-Type", "").startswith("application/json") and refused(answer)
        else ""
    )
    match cell:
        case "no":
            return answer.status != 403
        case "none":
            return answer.status != 404
        case "live":
            return (answer.status, code) != (404, "no_such_call")
        case "own":
            return refused(answer) != (whose != "own")
        case "unit":
            return refused(answer) != (whose == "foreign")
    return answer.status in (401, 403) or (answer.status == 404 and code != "not_found")


def test_every_route_has_a_line_and_every_line_a_route(program: Running) -> None:
    declared = {f"{route.method} {route.path}" for route in program.program.routes.all}
    assert {line.name for line in lines()} == declared


@pytest.mark.parametrize("role", ASKERS)
async def test_a_role_may_do_what_the_table_says_and_nothing_else(program: Running, role: str) -> None:
    login, things = ASKERS[role], await Things.made(program)
    browser = await program.browser(login)
    told = []
    for line in lines():
        if line.cells[role] == "-":
            continue
        for path, whose, about in things.tries(line, login):
            answer = await browser.ask(line.method, path, things.body(line, about))
            if wrong(line.cells[role], whose, answer):
                told.append(
                    f"{line.name} on {whose}: {answer.status} where the table says {line.cells[role]}: {answer.body[:120]!r}"
                )
    assert told == []


async def test_nobody_gets_anything(program: Running) -> None:
    things, browser = await Things.made(program), await program.browser()
    told = []
    for line in lines():
        for path, _, about in things.tries(line, "wang"):
            answer = await browser.ask(line.method, path, things.body(line, about))
            asked_to_sign_in = answer.status == 303 and answer.headers["Location"].startswith("/signin?next=")
            if not (answer.status == 401 if path.startswith("/api/") else asked_to_sign_in):
                told.append(f"{line.name}: {answer.status}")
    assert told == []


@pytest.mark.parametrize("role", ["agent", "supervisor"])
async def test_a_token_reaches_what_its_scopes_name(program: Running, role: str) -> None:
    login, things = ASKERS[role], await Things.made(program)
    rights = await scopes_of(program, role)
    everything = await program.token(login, *rights)
    told = []
    for line in lines():
        if line.cells[role] == "-":
            continue
        route = route_of(program, line)
        if route.right is None:
            without, cell = await program.token(login, *rights), "yes" if line.method == "GET" else "no"
        else:
            without, cell = await program.token(login, *(rights - {":".join(route.right)})), line.cells[role]
        for path, whose, about in things.tries(line, login):
            answer = await everything.ask(line.method, path, things.body(line, about))
            if wrong(cell, whose, answer):
                told.append(
                    f"{line.name} on {whose} with every scope: {answer.status} where {cell} is meant: {answer.body[:120]!r}"
                )
            answer = await without.ask(line.method, path, things.body(line, about))
            if route.right is not None and answer.status != 403:
                told.append(f"{line.name} on {whose} without its scope: {answer.status}")
    assert told == []


async def scopes_of(program: Running, role: str) -> set[str]:
    rows = await program.rows(select(RoleGrant.kind, RoleGrant.action).where(RoleGrant.role == role))
    return {f"{row['kind']}:{row['action']}" for row in rows}


def route_of(program: Running, line: Line) -> Route:
    return next(r for r in program.program.routes.all if (r.method, r.path) == (line.method, line.path))


async def test_a_token_that_ended_or_never_was_opens_nothing(program: Running) -> None:
    ended = await program.token("zhang", "call:see")
    assert (await ended.get("/api/v1/calls")).status == 200
    from sqlalchemy import update

    from crm_core.entities.org import ApiToken

    async with program.program.database.begin() as db:
        await db.execute(update(ApiToken).values(ends_at=program.clock.now() - 1))
    assert (await ended.get("/api/v1/calls")).status == 401
    ended.token = "made up"
    assert (await ended.get("/api/v1/calls")).status == 401


async def test_a_command_without_the_page_s_token_is_refused(program: Running) -> None:
    things = await Things.made(program)
    browser = await program.browser("zhang")
    kept, told = browser.csrf, []
    for line in lines():
        if line.method == "GET":
            continue
        for csrf in ("", "wrong", kept + "x"):
            browser.csrf = csrf
            for path, _, about in things.tries(line, "zhang"):
                answer = await browser.ask(line.method, path, things.body(line, about))
                if answer.status != 403 or answer.json["error"] not in ("csrf", "not_allowed"):
                    told.append(f"{line.name}: {answer.status}")
    browser.csrf = kept
    assert told == []
    assert (await browser.put("/api/v1/me/looks", {"theme": "dark"})).status == 204


async def test_the_token_of_one_session_is_no_good_in_another(program: Running) -> None:
    one, other = await program.browser("wang"), await program.browser("wang", fresh=True)
    other.csrf = one.csrf
    assert (await other.put("/api/v1/me/looks", {"theme": "dark"})).json["error"] == "csrf"


async def test_a_list_shows_only_what_is_one_s_own(program: Running) -> None:
    mine, other, foreign = [await call_of(program, login) for login in ("wang", "li", "heinz")]
    seen = {}
    for login in ("wang", "zhang", "karla"):
        browser = await program.browser(login)
        seen[login] = set(re.findall(r'data-test="call-row" data-id="(\d+)"', (await browser.get("/calls")).text))
    assert str(mine) in seen["wang"] and str(other) not in seen["wang"]
    assert {str(mine), str(other)} <= seen["zhang"] and str(foreign) not in seen["zhang"]
    assert seen["karla"] == {str(foreign)}


@pytest.mark.parametrize("query", ["", "?q=13900007777", "?q=Schmidt", "?q=7777", "?q=同号", "?sort=name", "?level=A"])
async def test_a_search_never_finds_customers_of_another_unit(program: Running, query: str) -> None:
    ours, theirs = await program.browser("wang"), await program.browser("heinz")
    ours_found = {c["name"] for c in (await ours.get(f"/api/v1/customers{query}")).json["customers"]}
    theirs_found = {c["name"] for c in (await theirs.get(f"/api/v1/customers{query}")).json["customers"]}
    assert "Schmidt GmbH" not in ours_found and "Schmidt GmbH" not in (await ours.get(f"/customers{query}")).text.replace(query, "")
    assert theirs_found <= {"Schmidt GmbH"}


async def test_a_number_of_two_units_shows_each_their_own_customer(program: Running) -> None:
    await program.sit("wang", "8001")
    await program.sit("heinz", "8001", pbx="other")
    ours, theirs = await program.browser("wang"), await program.browser("heinz")
    async with ours.socket() as a, theirs.socket() as b:
        await a.join("desk")
        await b.join("desk")
        program.call(number="13900007777", to="4008880000")
        program.call(number="13900007777", to="03000000", pbx="other")
        here = await a.until(lambda s: [c for c in s["desk"]["calls"].values() if c["looked_up"]])
        there = await b.until(lambda s: [c for c in s["desk"]["calls"].values() if c["looked_up"]])
    assert [m["company"] for m in here[0]["matches"]] == ["杭州同号公司"]
    assert [m["company"] for m in there[0]["matches"]] == ["Schmidt GmbH"]
    assert all("Schmidt" not in text for text in a.raw) and all("同号" not in text for text in b.raw)


async def test_a_seat_of_another_unit_can_not_be_taken(program: Running) -> None:
    browser = await program.browser("heinz")
    answer = await browser.post("/api/v1/seat/sign-in", {"seat_id": await program.seat_id("8002")})
    assert refused(answer)
    assert await program.seat_id("8002") not in (await browser.get("/api/v1/seats")).text


async def test_a_live_call_is_hung_up_by_its_own_agent_only(program: Running) -> None:
    wang, li = await program.sit("wang", "8001"), await program.sit("li", "8002", state="paused", reason="lunch")
    program.habit("8001", ring_s=0.05)
    async with wang.socket() as socket:
        await socket.join("desk")
        over = program.call(number="13811110000", to="4008880000")
        call_id = await socket.until(lambda s: next((k for k, c in s["desk"]["calls"].items() if c["phase"] == "talking"), None))
        for browser in (li, await program.browser("zhang")):
            assert refused(await browser.post(f"/api/v1/calls/{call_id}/hang-up"))
            assert refused(await browser.put(f"/api/v1/calls/{call_id}/notes", {"text": "mine"}))
        assert not over.done()
        assert (await wang.post(f"/api/v1/calls/{call_id}/hang-up")).status == 204
        assert await over
        await socket.until(lambda s: s["desk"]["seat"]["me"]["state"] == "wrap_up")


async def test_a_customer_made_out_of_somebody_else_s_call_is_not_made(program: Running) -> None:
    other = await call_of(program, "li")
    browser = await program.browser("wang")
    body = {"name": "偷来的客户", "numbers": ["13612344321"], "call_id": str(other)}
    assert refused(await browser.post("/api/v1/customers", body))
    assert "偷来的客户" not in (await browser.get("/customers?q=偷来的")).text.replace("偷来的”", "")
    assert (await browser.get("/api/v1/customers?q=偷来的")).json["count"] == 0


async def test_people_without_a_desk_are_sent_where_their_work_is(program: Running) -> None:
    for login, path in (("qian", "/calls"), ("admin", "/floor")):
        assert (await (await program.browser(login)).get("/")).headers["Location"] == path
    browser: Browser = await program.browser("guest")
    assert (await browser.get("/calls")).status == 403
    assert PASSWORD not in (await browser.get("/me")).text
