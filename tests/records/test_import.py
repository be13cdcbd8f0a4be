"""Imports: what a file holds becomes records by the engine's own checks, in every kind of the registry; what is wrong is said by row and
field; files made to hurt are refused; what was stopped, interrupted or a mistake can be taken back."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from crm_core.kernel.errors import Refusal
from crm_core.records import imports as imports_module
from crm_core.records import sheets
from crm_core.records.entity import Kind
from crm_core.records.fields import Reference
from crm_core.records.sheets import harmless
from tests.records.test_every_record import body_of, every_kind, made
from tests.web.program import Browser, Running
from tests.web.things import customer_called

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def taken(browser: Browser, path: str, data: bytes, name: str = "x.csv") -> str:
    answer = await browser.ask("POST", f"/api/v1/{path}/imports", params={"name": name}, data=data)
    assert answer.status == 200, answer.text
    return str(answer.json["id"])


async def settled(browser: Browser, one: str) -> dict[str, Any]:
    for _ in range(600):
        told: dict[str, Any] = (await browser.get(one)).json
        if told["state"] not in imports_module.WORKING:
            return told
        await asyncio.sleep(0.05)
    raise AssertionError("it never ended")


async def checked(browser: Browser, path: str, data: bytes, **wish: Any) -> tuple[str, dict[str, Any]]:
    one = f"/api/v1/{path}/imports/{await taken(browser, path, data)}"
    if wish:
        assert (await browser.put(one, wish)).status == 204
    answer = await browser.post(f"{one}/check")
    assert answer.status == 204, answer.text
    return one, await settled(browser, one)


async def ran(browser: Browser, path: str, data: bytes, **wish: Any) -> tuple[str, dict[str, Any]]:
    one, told = await checked(browser, path, data, **wish)
    assert told["state"] == "checked", told
    assert (await browser.post(f"{one}/run")).status == 204
    return one, await settled(browser, one)


def csv_of(*rows: list[str], encoding: str = "utf-8", separator: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode(encoding)


@every_kind
async def test_what_is_exported_can_be_imported_again(shared_everywhere: Running, kind: Kind) -> None:
    admin, customer = await shared_everywhere.browser("admin"), await customer_called(shared_everywhere, "杭州同号公司")
    title, path = kind.entity.title, kind.entity.path
    old = [await made(admin, kind, n, customer, **{title: f"=round trip {n}"}) for n in range(4)]
    before = {n: (await admin.get(f"/api/v1/{path}/{one}")).json for n, one in enumerate(old)}
    data = (await admin.get(f"/{path}/export.csv?q=round+trip")).body
    _, told = await checked(admin, path, data, same="update")
    assert (told["made"], told["changed"], told["same"], told["rejected"]) == (0, 0, 4, 0), told["wrong"]
    await admin.post(f"/api/v1/{path}/many/recycle", {"ids": old})
    one, told = await ran(admin, path, data)
    assert (told["made"], told["rejected"]) == (4, 0), told["wrong"]
    rows = {row[title]: row for row in (await admin.get(f"/api/v1/{path}?q=round+trip")).json["rows"]}
    for was in before.values():
        again = rows[was[title]]
        assert {f.name: again[f.name] for f in kind.form} == {f.name: was[f.name] for f in kind.form}
    assert (await admin.post(f"{one}/undo")).status == 204
    assert (await settled(admin, one))["state"] == "undone"
    assert (await admin.get(f"/api/v1/{path}?q=round+trip")).json["count"] == 0
    for page in (f"/{path}/import", f"/{path}/import/{one.rpartition('/')[2]}"):
        assert (await admin.get(page)).status == 200


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_are_recognised(tmp_path: Path, encoding: str, separator: str) -> None:
    rows = [["名称", "单位", "价格"], ["主轴轴承，成对", "对", "1860.00"], ['带"引号"', "个", "1"]]
    path = tmp_path / "1.file"
    path.write_bytes(csv_of(*rows, encoding=encoding, separator=separator))
    assert list(sheets.rows(path, sheets.recognised(path))) == rows


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=6))
def test_what_is_written_as_csv_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "1.file"
    path.write_bytes(csv_of(*[[harmless(cell) for cell in row] for row in rows]))
    table = sheets.Table(format="csv", encoding="utf-8", separator=",")
    expected = list(rows)
    for row in expected:
        while row and not row[-1].strip():
            row.pop()
    if not any(cell.startswith("'") for row in rows for cell in row) and not (rows[0] and rows[0][0].startswith("sep=")):
        assert list(sheets.rows(path, table)) == expected


@settings(max_examples=150, deadline=None)
@given(data=st.binary(min_size=1, max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("csv") / "1.file"
    path.write_bytes(data)
    with contextlib.suppress(Refusal):
        list(sheets.rows(path, sheets.recognised(path)))


DIRTY: list[tuple[str, Any, bool]] = [
    ("主题", "", False), ("主题", "x" * 201, False), ("主题", "=1+1", True), ("主题", "#N/A", False), ("主题", "  两边  空格 ", True),
    ("客户", "没有这个客户", False), ("客户", "Schmidt GmbH", False), ("客户", "杭州同号公司", True), ("客户", "C-杭州同号", True),
    ("类别", "没有", False), ("类别", "故障", True), ("类别", "FAULT", True), ("类别", "Fault", True),
    ("优先级", "紧急", True), ("优先级", "12", False), ("优先级", "urgent ", True),
    ("归属人", "nobody", False), ("归属人", "wang", True), ("归属人", "heinz", False),
    ("到期", "2026-02-30", False), ("到期", "昨天", False), ("到期", "2026年5月3日 9:05", True), ("到期", "20260503", True), ("到期", 46000, False),
    ("到期", "2026/5/3", True), ("到期", "2026-05-03T09:05", True), ("到期", "２０２６-５-３", True), ("到期", "25:00", False), ("到期", True, False),
    ("描述", "行一\n行二", True), ("描述", "<script>alert(1)</script>", True), ("描述", "y" * 10_001, False),
]  # fmt: skip


async def test_thirty_kinds_of_dirty_rows(shared_everywhere: Running) -> None:
    admin = await shared_everywhere.browser("admin")
    book = Workbook()
    labels = ["主题", "客户", "类别", "优先级", "归属人", "到期", "描述"]
    from crm_core.kernel.words import say

    shown = ["Subject", "Customer", "Kind", "Priority", "Owner", "Due", "Description"]
    book.active.append([say("zh", one) for one in shown])
    for n, (label, value, _) in enumerate(DIRTY):
        row: list[Any] = [f"脏数据 {n}", *[None] * 6]
        row[labels.index(label)] = value
        row[6] = row[6] or "有描述"
        book.active.append(row)
        if isinstance(value, str) and value.startswith("="):
            book.active.cell(book.active.max_row, 1).data_type = "s"
    out = io.BytesIO()
    book.save(out)
    one, told = await ran(admin, "tickets", out.getvalue(), same="make")
    expected = [n + 2 for n, (_, _, good) in enumerate(DIRTY) if not good]
    assert [wrong["row"] for wrong in told["wrong"]] == expected, told["wrong"]
    assert (told["made"], told["rejected"]) == (len(DIRTY) - len(expected), len(expected))
    lines = (await admin.get(f"/tickets/import/{one.rpartition('/')[2]}/rejected.csv")).body.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(lines)))
    assert [row[-2] for row in rows[1:]] == [str(n) for n in expected] and all(row[-1] for row in rows[1:])
    assert (await admin.post(f"{one}/undo")).status == 204 and (await settled(admin, one))["state"] == "undone"


async def test_what_is_there_is_skipped_or_updated_and_put_back(shared_everywhere: Running) -> None:
    admin = await shared_everywhere.browser("admin")
    data = csv_of(["name", "unit", "price"], ["update me", "个", "1"])
    await ran(admin, "products", data)
    again = csv_of(["Name", "Unit", "Price"], ["update me", "箱", "￥1,234.50元"], ["update me", "箱", ""])
    _, told = await ran(admin, "products", again)
    assert (told["made"], told["same"]) == (0, 2)
    one, told = await ran(admin, "products", again, same="update")
    assert (told["changed"], told["same"]) == (1, 1)

    async def price() -> Any:
        return [(row["price"], row["unit"]) for row in (await admin.get("/api/v1/products?q=update+me")).json["rows"]]

    assert await price() == [("1234.50", "箱")]
    await admin.post(f"{one}/undo")
    await settled(admin, one)
    assert await price() == [("1.00", "个")]


async def test_stopped_and_undone_nothing_is_left(shared_everywhere: Running) -> None:
    admin = await shared_everywhere.browser("admin")
    data = csv_of(["name"], *[[f"stopped {n}"] for n in range(3000)])
    one, _ = await checked(admin, "products", data)
    await admin.post(f"{one}/run")
    while not (await admin.get(one)).json["done"]:
        await asyncio.sleep(0.01)
    assert (await admin.post(f"{one}/stop")).status == 204
    told = await settled(admin, one)
    assert told["state"] == "stopped" and 0 < told["made"] < 3000
    assert (await admin.get("/api/v1/products?q=stopped")).json["count"] == told["made"]
    await admin.post(f"{one}/undo")
    await settled(admin, one)
    assert (await admin.get("/api/v1/products?q=stopped")).json["count"] == 0
    assert (await admin.get("/api/v1/products?q=stopped&bin=1")).json["count"] == told["made"]


async def test_what_the_end_interrupted_says_so_and_can_be_undone(shared_everywhere: Running) -> None:
    admin, here = await shared_everywhere.browser("admin"), shared_everywhere.program
    one, _ = await ran(admin, "products", csv_of(["name"], ["interrupted"]))
    await here.imports._set(int(one.rpartition("/")[2]), state="running")
    await here.imports.load()
    told = (await admin.get(one)).json
    assert told["state"] == "interrupted" and told["undoable"]
    await admin.post(f"{one}/undo")
    assert (await settled(admin, one))["state"] == "undone"
    assert (await admin.get("/api/v1/products?q=interrupted")).json["count"] == 0


async def test_an_import_is_nobody_else_s(shared_everywhere: Running) -> None:
    admin, boss = await shared_everywhere.browser("admin"), await shared_everywhere.browser("zhang")
    one, _ = await checked(admin, "products", csv_of(["name"], ["mine"]))
    assert (await boss.get(one)).status == 404 and (await boss.post(f"{one}/run")).status == 404
    assert (await (await shared_everywhere.browser("wang")).post("/api/v1/products/imports")).status == 403


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..\\..\\x.csv", "/tmp/x\x00.csv", "a" * 500, "<script>.csv", ""])
async def test_a_file_s_name_is_no_path(shared_everywhere: Running, name: str) -> None:
    admin = await shared_everywhere.browser("admin")
    folder = shared_everywhere.program.settings.home.folder / "imports"
    job = await taken(admin, "products", csv_of(["name"], ["x"]), name)
    assert {path.name for path in folder.glob(f"{job}.*")} == {f"{job}.file", f"{job}.lines"}
    page = (await admin.get(f"/products/import/{job}")).text
    assert "<script>.csv" not in page and "etc" not in page.partition('data-test="import"')[2].partition("<form")[0]


async def test_too_large_a_file_is_refused_and_leaves_nothing(shared_everywhere: Running) -> None:
    admin = await shared_everywhere.browser("admin")
    folder = shared_everywhere.program.settings.home.folder / "imports"
    before = set(folder.iterdir())

    async def hundred_mb() -> Any:
        for _ in range(100):
            yield b"x" * (1 << 20)

    answer = await admin.ask("POST", "/api/v1/products/imports", data=hundred_mb())
    assert answer.status == 400 and answer.json["error"] == "file_too_large"
    assert set(folder.iterdir()) == before


async def test_a_zip_bomb_is_not_opened(shared_everywhere: Running) -> None:
    admin = await shared_everywhere.browser("admin")
    for part in ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
            bomb.writestr(part, b"<x>" + b" " * (60 << 20))
        answer = await admin.ask("POST", "/api/v1/products/imports", data=out.getvalue())
        assert answer.json["error"] == "unpacks_to_too_much", answer.text
    for junk in (b"PK\x03\x04junk", b"\xd0\xcf\x11\xe0 old", b""):
        assert (await admin.ask("POST", "/api/v1/products/imports", data=junk)).status == 400


def test_more_rows_than_allowed_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "1.file"
    path.write_bytes(b"name,unit\n" * 5)
    monkeypatch.setattr(sheets, "MOST_ROWS", 3)
    with pytest.raises(Refusal, match="too_many_rows"):
        list(sheets.rows(path, sheets.recognised(path)))


def test_whatever_looks_like_a_formula_is_written_as_a_text(tmp_path: Path) -> None:
    path, texts = tmp_path / "out.xlsx", ['=HYPERLINK("http://x")', "#N/A", "+1", "@x", "plain"]
    out = sheets.XlsxOut(path, "a/b")
    out.add([texts])
    out.close()
    assert b"<f>" not in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")
    assert list(sheets.rows(path, sheets.recognised(path))) == [texts]


def test_the_form_of_every_kind_has_no_reference_that_a_file_cannot_name() -> None:
    from tests.records.test_every_record import KINDS

    assert {one.kind for kind in KINDS for one in kind.form if isinstance(one, Reference)} <= {
        "customer",
        "person",
        *(k.name for k in KINDS),
    }
    assert all(body_of(kind, 0, 1) for kind in KINDS)
