"""Odd JSON on every route that takes some: wrong shapes, wrong types, ten thousand characters, controls, identifiers that are none. Never a
500, never HTML, always a sentence; and nothing of it breaks a page or a feed afterwards. On both databases."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_core.web.api import Route
from tests.web.crawl import harmless
from tests.web.program import Running
from tests.web.things import call_of, customer_called, record_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG, ODD = (
    "长x\u202e" * 3334,
    ["", " ", "\x00", "a\x00b", "\u2028", "<script>", "{x}", "%s", "'\";--", "null", "²", "-1", "0", "9" * 40, "1e999", "😀"],
)
PIECES: dict[str, list[Any]] = {
    "str": [*ODD, LONG, None, 5, True, [], {}],
    "float": [0, -1, 1e308, -1e308, 5e-324, 1e18, 10**30, "1", None, True, []],
    "int": [0, -1, 2**70, 1.5, "1", None, True, []],
    "dict": [{}, {"": ""}, {"subject": None}, {"\x00": LONG}, {"unit_id": 5}, {"owner_id": "1"}, {"subject": [{}]}, [], "x", None],
    "bool": [True, False, 0, 1, "true", None],
    "list": [[], [""], ["\x00"], [LONG], ["1"] * 3000, [1], [None], [[]], "x", {}, None],
}
WHOLE: list[bytes] = [
    b"", b"{", b"[]", b"null", b"5", b'"x"', b"{}", b'{"a":1}', b"\xff\xfe", b'{"name":"\\ud800"}', b'{"text":"\\ud800"}', b"[" * 100_000,
    b'{"name":' + b"[" * 50_000, b'{"name":"a","name":"b"}', b" " * 5000, b"\xef\xbb\xbf{}", b'{"text":' + b'"' + b"a" * 1_500_000 + b'"}',
]  # fmt: skip
IDS = ["0", "-1", "x", "²", "9223372036854775808", "9" * 400, "1.5", "%00", "%ff", "null", "1 or 1=1", "%F0%9F%98%80"]


def taking(here: Running) -> list[Route]:
    found = [route for route in here.program.routes.all if route.takes is not None and route.path != "/api/v1/me/password"]
    assert len(found) >= 9
    return found


def bodies(route: Route) -> list[Any]:
    """For each field of what a route takes, everything odd, with the other fields as they should be."""
    assert route.takes is not None
    fields = msgspec.structs.fields(route.takes)
    plain = {f.name: usual(f.type) for f in fields}
    odd = [{**plain, f.name: piece} for f in fields for piece in PIECES[kind(f.type)]]
    return [{}, plain, {**plain, "unknown": 1}, *odd]


def kind(declared: Any) -> str:
    name = str(declared)
    return next(one for one in ("dict", "list", "bool", "float", "int", "str") if one in name)


def usual(declared: Any) -> Any:
    return {"dict": {}, "list": [], "bool": False, "float": 1.0, "int": 1, "str": "x"}[kind(declared)]


def check(route: Route, status: int, body: bytes, sent: Any) -> None:
    assert status < 500 or status == 503, f"{route.method} {route.path} {str(sent)[:200]}: {status} {body[:300]!r}"
    if status >= 400 and status != 413:
        said = msgspec.json.decode(body)
        assert said["error"] and said["say"] and "Traceback" not in said["say"]


async def path_of(here: Running, route: Route) -> str:
    if "{id}" not in route.path:
        return route.path
    of_record = next((one for one in here.program.records.registry if f"/{one.entity.path}/" in route.path), None)
    if of_record is not None:
        return route.path.replace("{id}", await record_of(here, of_record, "zhang"))
    thing = await customer_called(here, "杭州同号公司") if "customers" in route.path else await call_of(here, "zhang")
    return route.path.replace("{id}", str(thing))


async def test_odd_fields_are_refused_in_words_or_kept_as_text(shared_everywhere: Running) -> None:
    here = shared_everywhere
    zhang = await here.sit("zhang", "8003")
    for route in taking(here):
        path = await path_of(here, route)
        for body in bodies(route):
            answer = await zhang.ask(route.method, path, body)
            check(route, answer.status, answer.body, body)
    records = [f"/{one.entity.path}" for one in here.program.records.registry]
    for path in ("/", "/customers", "/calls", "/floor", "/me", "/demo", *records):
        answer = await zhang.get(path)
        assert answer.status in (200, 303) and harmless(answer.text) == []
    async with zhang.socket() as socket:
        assert (await socket.join("floor"))["t"] == "snapshot"
        assert (await socket.join("desk"))["t"] == "snapshot"


async def test_a_body_that_is_no_such_json_is_refused_in_words(shared_everywhere: Running) -> None:
    here = shared_everywhere
    zhang = await here.browser("zhang")
    for route in taking(here):
        path = await path_of(here, route)
        for body in WHOLE:
            answer = await zhang.ask(route.method, path, data=body, headers={"Content-Type": "application/json"})
            check(route, answer.status, answer.body, body)


async def test_an_identifier_that_is_none_finds_nothing(shared_everywhere: Running) -> None:
    here = shared_everywhere
    zhang = await here.browser("zhang")
    for route in here.program.routes.all:
        if "{id}" in route.path:
            for one in IDS:
                answer = await zhang.ask(route.method, route.path.replace("{id}", one), {} if route.takes else None)
                assert 400 <= answer.status < 500, f"{route.method} {route.path} {one}: {answer.status}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_whatever_json_comes_is_answered(shared_everywhere: Running, data: st.DataObject) -> None:
    here = shared_everywhere
    zhang = await here.browser("zhang")
    for route in taking(here):
        assert route.takes is not None
        names = [f.name for f in msgspec.structs.fields(route.takes)]
        body = data.draw(JSON | st.dictionaries(st.sampled_from(names), JSON, max_size=len(names)))
        path = route.path.replace("{id}", "5")
        answer = await zhang.ask(route.method, path, data=msgspec.json.encode(body), headers={"Content-Type": "application/json"})
        check(route, answer.status, answer.body, body)


async def test_the_document_of_the_api_names_every_route_and_what_it_takes(shared_everywhere: Running) -> None:
    here = shared_everywhere
    document = (await here.browser()).get
    told = (await document("/api/openapi.json")).json
    routes = [r for r in here.program.routes.all if not r.page and r.path != "/api/v1/demo/call"]
    assert {(p, m.upper()) for p, methods in told["paths"].items() for m in methods} >= {(r.path, r.method) for r in routes}
    for route in routes:
        operation = told["paths"][route.path][route.method.lower()]
        if route.takes is not None:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert reference.rsplit("/", 1)[1] in told["components"]["schemas"]
        if route.right is not None:
            assert operation["x-right"] == ":".join(route.right)
