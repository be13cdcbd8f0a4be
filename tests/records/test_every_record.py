"""One test file over the registry: every kind of record renders, saves, refuses, tells its history, goes to the bin and comes back."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from crm_core.entities.work import LISTS, RECORDS
from crm_core.records.entity import Kind, Registry
from crm_core.records.fields import Code, Day, Field, Line, Moment, Money, Note, Reference, Whole, YesNo
from tests.web.program import Browser, Running
from tests.web.things import customer_called

pytestmark = pytest.mark.asyncio(loop_scope="module")
REGISTRY = Registry()
KINDS = [REGISTRY.add(record) for record in RECORDS]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
MARK = '=cmd|"/C calc"!A0 <script>alert(1)</script>'


def sample(one: Field, n: int, customer: int) -> Any:
    """A value that the field takes; `n` makes different ones."""
    match one:
        case Code():
            return OPTIONS[one.options][n % 2]
        case YesNo():
            return n % 2 == 0
        case Money():
            return f"{n + 1}234.50"
        case Whole():
            return n + 1
        case Day():
            return f"2026-05-{n + 10}"
        case Moment():
            return 1_780_000_000.0 + n
        case Reference():
            return str(customer) if one.kind == "customer" else None
        case Line() | Note():
            return f"{one.label} {n}"
        case _:
            raise AssertionError(f"no sample for {one}")


OPTIONS: dict[str, list[str]] = {}


def body_of(kind: Kind, n: int, customer: int) -> dict[str, Any]:
    OPTIONS.update({one.name: [option.key for option in one.options] for one in LISTS})
    return {one.name: sample(one, n, customer) for one in kind.form if not (isinstance(one, Reference) and one.kind == "person")}


async def made(browser: Browser, kind: Kind, n: int, customer: int, **more: Any) -> str:
    answer = await browser.post(f"/api/v1/{kind.entity.path}", {**body_of(kind, n, customer), **more})
    assert answer.status == 200, answer.text
    return str(answer.json["id"])


@every_kind
async def test_what_is_saved_is_read_back(shared_everywhere: Running, kind: Kind) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    record = await made(admin, kind, 0, customer)
    read = (await admin.get(f"/api/v1/{kind.entity.path}/{record}")).json
    for name, value in body_of(kind, 0, customer).items():
        assert read[name] == value, name
    assert read["version"] == 1 and read["created_by"] == str(await shared_everywhere.user_id("admin"))
    changed = body_of(kind, 1, customer)
    answer = await admin.put(f"/api/v1/{kind.entity.path}/{record}", {**changed, "version": 1})
    assert answer.status == 200 and answer.json["version"] == 2
    read = (await admin.get(f"/api/v1/{kind.entity.path}/{record}")).json
    assert {name: read[name] for name in changed} == changed
    history = (await admin.get(f"/api/v1/{kind.entity.path}/{record}/history")).json["changes"]
    assert [step["action"] for step in history] == ["change", "create"]
    before = body_of(kind, 0, customer)
    expected = {name: [before[name], changed[name]] for name in changed if before[name] != changed[name]}
    assert history[0]["fields"] == expected and history[0]["who"] == "管理员"


@every_kind
async def test_every_page_renders_in_both_languages(shared_everywhere: Running, kind: Kind) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    record = await made(admin, kind, 0, customer, **{kind.entity.title: MARK})
    base = f"/{kind.entity.path}"
    for lang in ("zh", "en"):
        assert (await admin.put("/api/v1/me/looks", {"lang": lang})).status == 204
        for path in (
            base,
            f"{base}?bin=1",
            f"{base}?q=nothing+has+this",
            f"{base}/new",
            f"{base}/{record}",
            f"{base}/{record}/edit",
        ):
            answer = await admin.get(path)
            assert answer.status == 200, f"{path}: {answer.text[:500]}"
            seen = answer.text.partition('<div id="page"')[2].partition('id="toasts"')[0]
            assert seen and "<script>alert" not in answer.text and "{n}" not in seen
    assert (await admin.put("/api/v1/me/looks", {"lang": "zh"})).status == 204


@every_kind
async def test_what_is_wrong_is_said_by_field(shared_everywhere: Running, kind: Kind) -> None:
    admin, base = await shared_everywhere.browser("admin"), f"/api/v1/{kind.entity.path}"
    answer = await admin.post(base, {})
    required = {one.name for one in kind.form if one.required}
    assert answer.status == 400 and set(answer.json["detail"]["fields"]) == required
    good = body_of(kind, 0, await customer_called(shared_everywhere, "杭州同号公司"))
    for one in kind.form:
        for value in odd_values(one):
            answer = await admin.post(base, {**good, one.name: value})
            assert answer.status == 400, f"{one.name}={value!r}: {answer.text}"
            if answer.json["error"] == "wrong_fields":
                assert list(answer.json["detail"]["fields"]) == [one.name]
    foreign = await customer_called(shared_everywhere, "Schmidt GmbH")
    for one in kind.form:
        if isinstance(one, Reference) and one.kind == "customer":
            assert (await admin.post(base, {**good, one.name: str(foreign)})).status == 400, "another unit's customer"
    assert (await admin.post(base, {**good, "version": 7})).status == 400
    assert (await admin.post(base, {**good, "unit_id": 7})).status == 400


def odd_values(one: Field) -> list[Any]:
    """Values that the field must refuse."""
    match one:
        case Code():
            return ["no such option", 5, None]
        case Money():
            return ["many", "1.234", "1e40", "NaN", 5]
        case Whole():
            return ["many", 1.5, 2**70]
        case Day():
            return ["2026-02-30", "yesterday", "2026", "99999-01-01"]
        case Moment():
            return ["soon", 1e300, True]
        case Reference():
            return ["1", "x", "9" * 30, 7]
        case YesNo():
            return ["maybe", None]
        case Line():
            return ["x" * (one.length + 1), 5, None, {}]
        case _:
            return [5, ["x"]]


@every_kind
async def test_of_two_editors_the_second_is_told(shared_everywhere: Running, kind: Kind) -> None:
    """Different fields are merged; the same field is refused with both values, until the second has seen the first's version."""
    admin, boss = await shared_everywhere.browser("admin"), await shared_everywhere.browser("zhang")
    customer = await customer_called(shared_everywhere, "杭州同号公司")
    record = await made(admin, kind, 0, customer)
    path, title = f"/api/v1/{kind.entity.path}/{record}", kind.entity.title
    other = next(one.name for one in kind.form if one.name != title and not isinstance(one, Reference))
    changed = body_of(kind, 1, customer)
    assert (await admin.put(path, {title: "first", "version": 1})).status == 200
    assert (await boss.put(path, {other: changed[other], "version": 1})).status == 200, "another field goes well together"
    answer = await boss.put(path, {title: "second", "version": 1})
    assert answer.status == 409 and answer.json["error"] == "changed_meanwhile"
    assert answer.json["detail"]["fields"] == {title: {"theirs": "first", "mine": "second"}}
    read = (await boss.get(path)).json
    assert (read[title], read[other]) == ("first", changed[other])
    assert (await boss.put(path, {title: "second", "version": answer.json["detail"]["version"]})).status == 200


@every_kind
async def test_the_bin_keeps_gives_back_and_forgets(shared_everywhere: Running, kind: Kind) -> None:
    admin, boss = await shared_everywhere.browser("admin"), await shared_everywhere.browser("zhang")
    customer = await customer_called(shared_everywhere, "杭州同号公司")
    record = await made(admin, kind, 0, customer, **{kind.entity.title: "goes to the bin"})
    base = f"/api/v1/{kind.entity.path}"

    async def listed(query: str = "") -> list[str]:
        return [row["id"] for row in (await admin.get(f"{base}?q=goes+to+the+bin{query}")).json["rows"]]

    assert (await boss.post(f"{base}/many/purge", {"ids": [record]})).status == 403
    assert (await admin.post(f"{base}/many/purge", {"ids": [record]})).json == {"done": 0, "refused": {"not_recycled": 1}}
    assert (await boss.post(f"{base}/many/recycle", {"ids": [record, "1"]})).json == {"done": 1, "refused": {"not_found": 1}}
    assert await listed() == [] and await listed("&bin=1") == [record]
    assert (await admin.put(f"{base}/{record}", {kind.entity.title: "x", "version": 2})).status == 409, (
        "nothing is changed in the bin"
    )
    assert (await boss.post(f"{base}/many/restore", {"ids": [record]})).json["done"] == 1
    assert await listed() == [record] and await listed("&bin=1") == []
    await boss.post(f"{base}/many/recycle", {"ids": [record]})
    assert (await admin.post(f"{base}/many/purge", {"ids": [record]})).json["done"] == 1
    assert (await admin.get(f"{base}/{record}")).status == 404


@every_kind
async def test_pages_by_key_hold_every_row_once(shared_everywhere: Running, kind: Kind) -> None:
    """Forwards and backwards, by every order, with values that are alike and values that are not known."""
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    ids = {await made(admin, kind, n % 7, customer, **{kind.entity.title: f"paged {n % 3}"}) for n in range(57)}
    for n, one in enumerate(sorted(ids)):
        unknown = {name: None for name in ("due_at", "next_on", "price") if name in {f.name for f in kind.form}}
        if n % 4 == 0 and unknown:
            assert (await admin.put(f"/api/v1/{kind.entity.path}/{one}", {**unknown, "version": 1})).status == 200
    for sort in kind.entity.sorts.split():
        for order in (sort, f"-{sort}"):
            forward, page = [], (await admin.get(f"/api/v1/{kind.entity.path}?q=paged&sort={order}")).json
            assert page["count"] == 57 and not page["before"]
            first = [row["id"] for row in page["rows"]]
            while True:
                forward += [row["id"] for row in page["rows"]]
                if not page["after"]:
                    break
                page = (await admin.get(f"/api/v1/{kind.entity.path}?q=paged&sort={order}&after={page['after']}")).json
            assert set(forward) == ids and len(forward) == 57, order
            back = (await admin.get(f"/api/v1/{kind.entity.path}?q=paged&sort={order}&before={page['before']}")).json
            assert [row["id"] for row in back["rows"]] == first, order
            assert not back["before"] and back["after"]


@every_kind
async def test_filters_find_what_was_saved_and_nothing_else(shared_everywhere: Running, kind: Kind) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    base = f"/api/v1/{kind.entity.path}"
    one, other = await made(admin, kind, 0, customer), await made(admin, kind, 1, customer)
    values = [(await admin.get(f"{base}/{record}")).json for record in (one, other)]
    for field in kind.fields.values():
        mine, theirs = (row[field.name] for row in values)
        if mine in (None, "", False) or mine == theirs:
            continue
        asked = {field.name: f"{mine}..{mine}" if field.ranged else str(mine)}
        found = [row["id"] for row in (await admin.get(base, params=asked)).json["rows"]]
        assert one in found and other not in found, field.name
    wrong = next((f.name for f in kind.fields.values() if isinstance(f, Moment)), None)
    assert (await admin.get(f"{base}?{wrong}=soon")).status == 400
    assert (await admin.get(f"{base}?after=nonsense")).status == 400


@every_kind
async def test_the_export_is_what_the_list_shows_and_no_formula(shared_everywhere: Running, kind: Kind) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    await made(admin, kind, 0, customer, **{kind.entity.title: MARK})
    answer = await admin.get(f"/{kind.entity.path}/export.csv?q=calc")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    titles = [row[next(iter(k for k in row if k in ("主题", "名称", "Subject", "Name")))] for row in rows]
    assert titles and set(titles) == {f"'{MARK}"}
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())


@every_kind
async def test_comments_stand_in_order_and_are_their_authors(shared_everywhere: Running, kind: Kind) -> None:
    admin, boss = await shared_everywhere.browser("admin"), await shared_everywhere.browser("zhang")
    record = await made(admin, kind, 0, await customer_called(shared_everywhere, "杭州同号公司"))
    path = f"/api/v1/{kind.entity.path}/{record}/comments"
    for who, text in ((admin, "first\nline <b>"), (boss, "second")):
        assert (await who.post(path, {"text": text})).status == 200
    found = (await admin.get(path)).json["comments"]
    assert [(one["who"], one["text"]) for one in found] == [("管理员", "first\nline <b>"), ("张敏", "second")]
    for text in ("", "   ", "x" * 4001):
        assert (await admin.post(path, {"text": text})).status == 400
    assert "first\nline &lt;b&gt;" in (await admin.get(f"/{kind.entity.path}/{record}")).text


@every_kind
async def test_another_unit_sees_and_touches_nothing(shared_everywhere: Running, kind: Kind) -> None:
    admin, heinz = await shared_everywhere.browser("admin"), await shared_everywhere.browser("heinz")
    record = await made(admin, kind, 0, await customer_called(shared_everywhere, "杭州同号公司"))
    base = f"/api/v1/{kind.entity.path}"
    assert record not in [row["id"] for row in (await heinz.get(base)).json.get("rows", [])]
    for method, path, body in (
        ("GET", f"{base}/{record}", None), ("GET", f"{base}/{record}/history", None), ("GET", f"{base}/{record}/comments", None),
        ("PUT", f"{base}/{record}", {"version": 1, kind.entity.title: "mine"}), ("POST", f"{base}/{record}/comments", {"text": "hello"}),
        ("GET", f"/{kind.entity.path}/{record}", None),
    ):  # fmt: skip
        assert (await heinz.ask(method, path, body)).status in (403, 404), path
    for word in ("recycle", "restore", "purge"):
        answer = await heinz.post(f"{base}/many/{word}", {"ids": [record]})
        assert answer.status == 403 or answer.json == {"done": 0, "refused": {"not_found": 1}}
