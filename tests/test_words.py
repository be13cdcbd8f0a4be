"""Every word that people read has its Chinese, in one catalogue: what the server says and refuses, titles and formulas of figures, states
and outcomes, the command line; and no text in a template or a script goes round the catalogue. (Texts inside `_()` and `t()` are looked at
in tests/web/static.)"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from typer.main import get_command

from config.bootstrap import NAV
from config.main import app
from config.tongue import helps, tongue
from crm_core.kernel.words import FOLDER, chinese, say
from cti.domain.seat import SeatState
from cti.events import EntryOutcome, Outcome
from cti.figures.definitions import SHOWN
from cti.pbx_events import OfferResult

ROOT = Path(__file__).parents[1]
PACKAGES = ("crm_core", "cti", "recordings", "agent_console", "supervisor", "config")
PYTHON = [f for package in PACKAGES for f in sorted((ROOT / package).rglob("*.py")) if "migrations" not in f.parts]
TEMPLATES = [f for package in PACKAGES for f in sorted((ROOT / package).rglob("*.html"))]
SCRIPTS = [f for package in PACKAGES for f in sorted((ROOT / package).rglob("*.js")) if "vendor" not in f.parts]

SAYING = {"say": 1, "say_many": 1, "told": 0}
"""Functions that say something, and the position of the message where it is not the first text."""
REFUSING = {"Refusal": 1, "NotAllowed": 1, "NotFound": 1, "Conflict": 1, "Unavailable": 1}
BY_POSITION = {"NavItem": 2, "NoSound": 0}


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def text_of(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def messages(path: Path) -> Iterator[str]:
    """Every message that a Python file says."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arguments):
            defaults = zip(node.args[len(node.args) - len(node.defaults) :], node.defaults, strict=True)
            yield from (text_of(value) for argument, value in defaults if argument.arg == "say" and text_of(value))
        if not isinstance(node, ast.Call):
            continue
        name, texts = name_of(node), [text_of(one) for one in node.args]
        if name in REFUSING or name in BY_POSITION:
            at = {**REFUSING, **BY_POSITION}[name]
            yield from (t for t in texts[at : at + 1] if t)
        elif name in SAYING:
            yield from ([t for t in texts if t and t not in ("zh", "en")][: 2 if name == "say_many" else 1])
        elif (
            name == "__init__" and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call) and len(texts) > 1
        ):
            yield from (t for t in texts[1:2] if t)


def untranslated(texts: Iterator[str] | list[str] | set[str]) -> set[str]:
    return {text for text in texts if text not in chinese() and re.search(r"[A-Za-z]{2}", text)}


def file_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [f for f in PYTHON if list(messages(f))], ids=file_name)
def test_what_the_server_says_has_its_chinese(path: Path) -> None:
    assert untranslated(messages(path)) == set()


def test_the_search_for_messages_finds_them() -> None:
    found = {text for path in PYTHON for text in messages(path)}
    assert {"You may not do this.", "User name or password is wrong.", "There is no such thing, or you may not see it."} <= found
    assert {"Seat {seat} is in use by {name}. Take over, or choose another.", "the PBX wrote no file", "Desk"} <= found
    assert len(found) > 60


def test_names_and_formulas_of_figures_and_of_pages_have_their_chinese() -> None:
    assert untranslated([text for one in SHOWN.values() for text in (one.title, one.formula)]) == set()
    assert untranslated([item.label for item in NAV]) == set()


@pytest.mark.parametrize("template", ["crm_core/web/templates/parts.html", "recordings/templates/calls_parts.html"])
def test_every_state_and_every_outcome_has_a_word(template: str) -> None:
    """A state that the product can be in and the template has no word for would be shown as its code."""
    words = {
        "crm_core/web/templates/parts.html": list(SeatState),
        "recordings/templates/calls_parts.html": [*Outcome, *EntryOutcome, *OfferResult],
    }
    source = (ROOT / template).read_text()
    assert [one.value for one in words[template] if f'"{one.value}": _(' not in source] == []


# ------------------------------------------------------------------------------------------------------------- the command line


def test_the_help_of_every_command_has_its_chinese() -> None:
    assert untranslated(helps(get_command(app))) == set()
    assert len(helps(get_command(app))) > 25


@pytest.mark.parametrize("path", [ROOT / "config/main.py", ROOT / "config/demo/run.py"], ids=file_name)
def test_a_command_prints_only_what_was_told(path: Path) -> None:
    """What stands in a print is `told(…)`, or comes from elsewhere; never a text written on the spot."""
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and name_of(node) in ("print", "_fail", "_tell", "tell", "add_task") and node.args:
            first = node.args[0]
            ways = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            if any(isinstance(one, ast.JoinedStr | ast.BinOp | ast.IfExp) or text_of(one) for one in ways):
                wrong.append(f"line {node.lineno}: {ast.unparse(first)[:80]}")
    assert wrong == []


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"), ({"LANG": "C.UTF-8"}, "en"), ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "zh_TW"}, "zh"), ({"LANG": "zh_CN", "LC_ALL": "en_US"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, "zh"), ({"LC_MESSAGES": "zh_CN", "LANG": "de_DE"}, "zh"),
    ],
)  # fmt: skip
def test_the_terminal_s_language_is_what_the_environment_says(environment: dict[str, str], language: str) -> None:
    assert tongue(environment) == language


# ----------------------------------------------------------------------------------------------------------------- the catalogue


def entries() -> list[tuple[str, str]]:
    """Every message with its Chinese; a plural counts by each of its forms."""
    with (FOLDER / "zh_CN.po").open("rb") as file:
        found = []
        for one in read_po(file, locale="zh_CN"):
            ids = one.id if isinstance(one.id, tuple | list) else (one.id,)
            text = one.string if isinstance(one.string, str) else one.string[0]
            found += [(i, text) for i in ids if i]
    return found


def test_every_entry_is_translated_and_none_is_uncertain() -> None:
    with (FOLDER / "zh_CN.po").open("rb") as file:
        assert [m.id for m in read_po(file, locale="zh_CN") if m.id and (m.fuzzy or not m.string)] == []


def test_both_sides_have_the_same_placeholders() -> None:
    wrong = [i for i, text in entries() if set(re.findall(r"\{\w*\}", i)) - {"{n}"} != set(re.findall(r"\{\w*\}", text)) - {"{n}"}]
    assert wrong == []


def test_chinese_is_written_with_its_own_punctuation_and_plainly() -> None:
    half = [t for _, t in entries() if re.search(r"[\u4e00-\u9fff][,;:?!]|[,;?!][\u4e00-\u9fff]", t)]
    assert half == []
    assert [t for _, t in entries() if re.search(r"[您亲！]|非法", t)] == []


def test_no_message_stands_twice() -> None:
    ids = re.findall(r'^msgid (".+")$', (FOLDER / "zh_CN.po").read_text(), re.MULTILINE)
    assert sorted({i for i in ids if ids.count(i) > 1}) == []


def test_a_placeholder_without_a_value_breaks_nothing() -> None:
    assert say("en", "Seat {seat} is in use by {name}. Take over, or choose another.", seat="8001").startswith(
        "Seat 8001 is in use by {name}"
    )


# ------------------------------------------------------------------------------------------------------- round the catalogue

SAID_AS_IT_IS = {"中文", "English", "Lingxi", "kB", "SHA-256", "F2", "F4", "F8", "F9", "CSV", "ID", "Esc"}
"""Names of languages and keys, units and marks that are the same in both languages."""


def literal_texts(source: str) -> list[str]:
    """What a template would show that is in no expression: texts between tags, and in attributes that are read out or shown."""
    bare = re.sub(r"\{#.*?#\}|<!--.*?-->", " ", source, flags=re.DOTALL)
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", bare, flags=re.DOTALL)
    bare = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "\x00", bare, flags=re.DOTALL)
    shown = re.findall(r'\s(?:title|aria-label|placeholder|alt|data-show|data-hide|data-wrong)="([^"]*)"', bare)
    shown += re.sub(r"<[^>]*>", "\x00", bare).split("\x00")
    words = [" ".join(one.split()) for text in shown for one in text.split("\x00")]
    return [
        one for one in words if re.search(r"[A-Za-z]{2}|[\u4e00-\u9fff]", re.sub("|".join(map(re.escape, SAID_AS_IT_IS)), "", one))
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=file_name)
def test_a_template_shows_no_text_of_its_own(path: Path) -> None:
    assert literal_texts(path.read_text()) == []


def test_the_search_for_literal_texts_finds_them() -> None:
    assert literal_texts('{# no #}<p title="Hello">{{ _("x") }} there</p><b>你好</b><i>·</i>') == ["Hello", "there", "你好"]


SHOWN_BY_SCRIPTS = re.compile(
    r"""(?:\.(?:textContent|innerText|title|ariaLabel|placeholder|alt)\s*=\s*|setAttribute\(\s*["'](?:aria-label|title|placeholder)["']\s*,\s*)(["'`])((?:(?!\1).)*)\1"""
)


@pytest.mark.parametrize("path", SCRIPTS, ids=file_name)
def test_a_script_shows_no_text_of_its_own(path: Path) -> None:
    source = re.sub(r"//.*|/\*.*?\*/", "", path.read_text())
    shown = [re.sub(r"\$\{[^}]*\}", "", m[2]) for m in SHOWN_BY_SCRIPTS.finditer(source)]
    assert [text for text in shown if re.search(r"[A-Za-z]{2}|[\u4e00-\u9fff]", text)] == []
    assert not re.search(r"[\u4e00-\u9fff]", re.sub(r'"(?:中文)"', "", source)), "Chinese belongs into the catalogue"
