"""Rules that every screen keeps, read off the sources: words from the catalogue, no markup from strings, no inline style, no colour
outside the tokens, files that one person can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crm_core.kernel.words import catalogue, chinese
from crm_core.web.pages import import_words

ROOT = Path(__file__).parents[3]
FOLDERS = [ROOT / part for part in ("crm_core/web", "agent_console", "supervisor", "recordings")]


def files(*endings: str) -> list[Path]:
    """Our sources with these endings; what the build step makes is not ours."""
    found = [f for folder in FOLDERS for f in sorted(folder.rglob("*")) if f.suffix in endings and "vendor" not in f.parts]
    assert found
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


TEXT = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""


def said(path: Path) -> set[str]:
    """The English texts that a template or a module says."""
    source = path.read_text()
    calls = r"\b(?:_|ngettext)\(\s*" if path.suffix == ".html" else r"\bt\(\s*"
    return {m[1][1:-1].replace('\\"', '"') for m in re.finditer(calls + TEXT, source)}


@pytest.mark.parametrize("path", files(".html", ".js"), ids=name)
def test_every_text_has_its_chinese(path: Path) -> None:
    assert {text for text in said(path) if text not in chinese()} == set()


@pytest.mark.parametrize("path", files(".html", ".js"), ids=name)
def test_placeholders_are_the_same_in_both_languages(path: Path) -> None:
    for text in said(path):
        wanted, given = set(re.findall(r"\{\w+\}", text)), set(re.findall(r"\{\w+\}", chinese().get(text, text)))
        assert wanted == given, text


def test_no_text_is_translated_twice() -> None:
    source = (ROOT / "crm_core/locale/zh_CN.po").read_text()
    ids = re.findall(r'^msgid (".+")$', source, re.MULTILINE)
    assert [one for one in set(ids) if ids.count(one) > 1] == []
    assert len(catalogue()) == len([one for one in ids if one != '""'])


def test_scripts_get_every_word_they_ask_for() -> None:
    given = import_words({name(f): f.read_text() for f in files(".js")})
    wanted = set().union(*(said(f) for f in files(".js")))
    assert wanted - given == set()


@pytest.mark.parametrize("path", files(".js"), ids=name)
def test_modules_make_nodes_not_markup(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)
    assert source.startswith("// "), "a module opens with what it is and is not"
    assert len(source.splitlines()) <= 250


@pytest.mark.parametrize("path", files(".html"), ids=name)
def test_templates_keep_to_the_content_security_policy(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", source)
    for script in re.findall(r"<script\b[^>]*>", source):
        assert "application/json" in script or "nonce=" in script, script
    assert source.lstrip().startswith("{#"), "a template opens with what it is"


@pytest.mark.parametrize("path", [f for f in files(".css") if f.name != "tokens.css"], ids=name)
def test_colours_are_only_in_the_tokens(path: Path) -> None:
    rules = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?=[^{}]*[;}])|\brgba?\(|\bhsla?\(", rules)
    assert path.read_text().startswith("/* ")
