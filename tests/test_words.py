"""Every word that people read has its Chinese, in one catalogue: what the server says and refuses, the PBX's refusals, mistakes in the
settings, titles and formulas of figures, states and outcomes, the command line, set-up with its shell scripts; and no text in a template,
a script or a sentence goes round the catalogue. (Texts inside `_()` and `t()` are looked at in tests/web/static.)"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from typer.main import get_command

from config.bootstrap import NAV
from config.demo.scripted import BANNER
from config.main import app
from config.tongue import helps, tongue
from crm_core.kernel.sentence import Sentence, Trouble
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
SHELL = sorted((ROOT / "config/setup").glob("*.sh"))


def troubles(kind: type[Trouble] = Trouble) -> set[str]:
    """The names of all exceptions that tell a sentence."""
    return {kind.__name__, *(name for one in kind.__subclasses__() for name in troubles(one))}


for _name in ("config.lines", "config.demo.run", "cti.pbx.asterisk.driver"):  # what raises them
    import_module(_name)
SAYING = {"say": 1, "say_many": 1, "told": 0}
"""Functions that say something, and the position of the message where it is not the first text."""
REFUSING = {"Refusal": 1, "NotAllowed": 1, "NotFound": 1, "Conflict": 1, "Unavailable": 1}
BY_POSITION = {"NavItem": 2, "NoSound": 0, "Pattern": 1, "_matched": 0, "Sentence": 0, **dict.fromkeys(troubles(), 0)}


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
            yield from [t for t in texts if t and t not in ("zh", "en")][:1]
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
    assert {"there is no option {name}; {cure}", "write digits, or nothing", "it must be from {low} to {high}"} <= found  # settings
    assert {
        "The phone of {extension} is not registered.",
        "The PBX can't be reached at {address}.",
        "queue name",
    } <= found  # the PBX
    assert {"Unpacking {n} packages.", "Port {port} is in use. Stop what has it, or take another: {line}"} <= found  # starting
    assert {"PbxUnreachable", "BadPlan", "AsteriskMissing", "AsteriskFailed", "BadText", "UnknownPbx"} <= troubles()
    assert len(found) > 200


def computed(source: str) -> list[str]:
    """Sentences that are put together where they are said, which no catalogue can know."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        name = name_of(node) if isinstance(node, ast.Call) else ""
        at = {"say": 1, "say_many": 1, "told": 0, **REFUSING, **BY_POSITION}.get(name)
        if not isinstance(node, ast.Call) or at is None or len(node.args) <= at:
            continue
        message = node.args[at]
        ways = [message.body, message.orelse] if isinstance(message, ast.IfExp) else [message]
        if any(isinstance(way, ast.JoinedStr | ast.BinOp | ast.BoolOp) or name_of_call(way) in ("format", "join") for way in ways):
            wrong.append(f"line {node.lineno}: {ast.unparse(message)[:80]}")
    return wrong


def name_of_call(node: ast.expr) -> str:
    return name_of(node) if isinstance(node, ast.Call) else ""


@pytest.mark.parametrize("path", PYTHON, ids=file_name)
def test_no_sentence_is_put_together_where_it_is_said(path: Path) -> None:
    assert computed(path.read_text()) == []


def test_the_search_for_such_sentences_finds_them() -> None:
    assert computed('raise PbxRefused(f"No {x}.")') and computed('Sentence("a" + b)') and computed('told("{}".format(x))')
    assert computed('Refusal("code", f"No {x}.")') and computed('say(lang, "A" if y else f"{x}")')
    assert computed('Sentence("No {x}.", x=f"{a}{b}")') == [] and computed("told(error.sentence)") == []


def test_names_and_formulas_of_figures_and_of_pages_have_their_chinese() -> None:
    assert untranslated([text for one in SHOWN.values() for text in (one.title, one.formula)]) == set()
    assert untranslated([*(item.label for item in NAV), BANNER]) == set()


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


COMMANDS = [ROOT / "config/main.py", *sorted((ROOT / "config/demo").glob("*.py")), *sorted((ROOT / "config/setup").glob("*.py"))]


@pytest.mark.parametrize("path", COMMANDS, ids=file_name)
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
    assert said_by_shell(["Lingxi itself"], environment) == [say(language, "Lingxi itself")]


BROKEN = """
[web]
prot = 8600
port = 0
public_url = "calls.example.com"

[roles]
active = ["web"]
"""
IN_CHINESE = """\
{file} 第 3 行：没有 prot 这个选项；是不是 port？
{file} 第 4 行：port = 0：必须在 1 到 65535 之间
{file} 第 5 行：public_url = 'calls.example.com'：写以 http:// 或 https:// 开头的地址
{file} 第 8 行：一个进程不承担全部角色时，要靠其他进程，而它们只能经 Redis 相互通信：在 [bus] 下写 url
4 处问题；什么都没有启动。
"""


def settings_check(file: Path, lang: str) -> subprocess.CompletedProcess[str]:
    """What `lingxi settings check` says to somebody at a terminal of that language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LINGXI_")) and name != "LANG"}
    asked = [sys.executable, "-m", "config.main", "settings", "check"]
    environment = {**kept, "LANG": lang, "LINGXI_SETTINGS": str(file), "PYTHONUTF8": "1", "COLUMNS": "400"}
    return subprocess.run(asked, env=environment, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)


def test_mistakes_in_the_settings_are_told_in_chinese_with_line_and_cure(tmp_path: Path) -> None:
    file = tmp_path / "lingxi.toml"
    file.write_text(BROKEN)
    done = settings_check(file, "zh_CN.UTF-8")
    assert (done.returncode, done.stderr) == (2, IN_CHINESE.format(file=file))
    english = settings_check(file, "en_US.UTF-8")
    assert english.returncode == 2 and "line 3: there is no option prot; did you mean port?" in english.stderr


def test_settings_in_order_are_told_in_chinese_too(tmp_path: Path) -> None:
    file = tmp_path / "lingxi.toml"
    file.write_text("[web]\nport = 8600\n")
    done = settings_check(file, "zh_CN.UTF-8")
    assert done.returncode == 0
    assert done.stderr.startswith(f"{file} 里的设置没有问题。\n数据文件夹：") and "注意：没有写 [[pbx]]" in done.stderr


def test_a_sentence_is_said_in_the_reader_s_language_with_all_that_is_in_it() -> None:
    inner = Sentence("The phone of {extension} is not registered.", extension="8001")
    refusal = Sentence("The phone system refused: {why}", why=inner)
    assert str(refusal) == say("en", refusal) == "The phone system refused: The phone of 8001 is not registered."
    assert say("zh", refusal) == "话务系统未受理：8001 的话机没有注册。"
    assert say("zh", "The phone system refused: {why}", why=Sentence("Extension {x} busy")) == "话务系统未受理：Extension {x} busy"


# ------------------------------------------------------------------------------------------------------------------ set-up in shell

CALLING = re.compile(r"""(?:^|[;|&({]|\bthen|\belse|\bdo)[ \t]*(?:tell|told|stop|explain)[ \t]+((?:\\\n|[^\n])*)""", re.MULTILINE)
WORD = re.compile(r"""\\\n|\s+|(?P<value>[a-z_]+="[^"]*"|[a-z_]+=\S+)|'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>\S+)""")


def shell_words(source: str) -> Iterator[tuple[str, str]]:
    """What shell scripts tell, stop or explain with: each argument with its kind (text, or code)."""
    bare = re.sub(r"^\s*#.*", "", source, flags=re.MULTILINE)
    for call in CALLING.finditer(bare):
        for word in WORD.finditer(call[1]):
            if word["bare"] is not None and word["bare"][0] in ";|&})":
                break  # another command
            if word["single"] is not None:
                yield "text", word["single"]
            elif word["double"] is not None:
                yield ("code" if "$" in word["double"] else "text"), word["double"]


def shell_texts(source: str) -> list[str]:
    """The sentences of a shell script."""
    return [text for kind, text in shell_words(source) if kind == "text" and text]


def shell_faults(source: str) -> list[str]:
    """What a shell script would say past the catalogue: sentences put together on the spot, and lines printed straight."""
    joined = [
        text for kind, text in shell_words(source) if kind == "code" and re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", without_code(text))
    ]
    printed = re.findall(r"""^(?!.*>"\$policy").*\b(?:echo|printf)\s+["']([^"']*[A-Za-z]{2}[^"']*)["']""", source, re.MULTILINE)
    return joined + [text for text in printed if not text.startswith(LINES_TO_TYPE)]


LINES_TO_TYPE = ("apt-get install", "  sudo %s", "chown -R")


def without_code(text: str) -> str:
    """A double-quoted word without what the shell puts in."""
    return re.sub(r"\$\([^)]*\)|\$\{[^}]*\}|\$\w+|\$[*@#]", "", text)


def said_by_shell(texts: list[str], environment: dict[str, str]) -> list[str]:
    """What the scripts of set-up make of messages."""
    script = '. config/setup/say.sh; for one in "$@"; do told "$one"; done'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script, "bash", *texts], env={"PATH": os.environ["PATH"], **environment}, cwd=ROOT, capture_output=True, check=True
    )  # fmt: skip
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize("path", SHELL, ids=file_name)
def test_what_set_up_says_has_its_chinese_and_goes_through_the_catalogue(path: Path) -> None:
    assert untranslated(shell_texts(path.read_text())) == set()
    assert shell_faults(path.read_text()) == []


def test_the_search_in_shell_finds_what_is_said() -> None:
    found = {text for path in SHELL for text in shell_texts(path.read_text())}
    assert {"Installing the locked Python packages …", "the Python packages", "There is no space left for {what}."} <= found
    assert {
        "The package server can't be reached, so {what} could not be fetched.",
        "This user may not write into {folder}.",
    } <= found
    assert {"Not on this machine, so their tests are skipped: {packages}. This installs them:"} <= found
    assert len(found) > 30
    assert shell_texts("  stop 'One {x}.' \\\n    \"Two.\" x=\"$y z\"\nother 'Three.'\n") == ["One {x}.", "Two."]
    assert shell_texts("[ -w . ] || stop 'One.' 'Two.'\nfoo && tell 'Three.'\n") == ["One.", "Two.", "Three."]
    assert (
        shell_faults('tell "Installing the $what …"\n')
        and shell_faults('echo "Hello there"\n')
        and not shell_faults("stop 'A.' \"$line\"\n")
    )


def test_the_shell_finds_in_the_catalogue_what_the_program_finds() -> None:
    texts = sorted({text for path in SHELL for text in shell_texts(path.read_text())})
    assert said_by_shell(texts, {"LANG": "zh_CN.UTF-8"}) == [chinese()[text] for text in texts]
    assert said_by_shell(texts, {"LANG": "C.UTF-8"}) == texts
    assert said_by_shell(["Not in the catalogue & never."], {"LANG": "zh_CN"}) == ["Not in the catalogue & never."]


@pytest.mark.parametrize(
    ("log", "what", "said"),
    [
        ("OSError: [Errno 28] No space left on device", "the Python packages", "磁盘空间不够安装Python 包。"),
        ("npm error code EINTEGRITY", "the libraries of the screens", "下载的界面库与锁定的不同：文件和记录的哈希对不上。"),
        ("E: Could not connect to mirror", "nodejs & npm", "连不上软件包服务器，无法下载nodejs & npm。"),
        ("something else", "Lingxi itself", "铃席本身没有装好；上面是 {log} 的最后几行。"),
    ],
)  # fmt: skip
def test_set_up_explains_a_failure_in_chinese(tmp_path: Path, log: str, what: str, said: str) -> None:
    file = tmp_path / "log"
    file.write_text(log + "\n")
    command = ["bash", "-euo", "pipefail", "-c", '. config/setup/say.sh; explain "$@"', "bash", str(file), what]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], "LANG": "zh_CN.UTF-8"}, cwd=ROOT, capture_output=True, check=False
    )
    told: Any = done.stderr.decode()
    assert done.returncode == 1
    assert said.format(log=file) in told.splitlines()
    assert re.search(r"\{\w+\}", told) is None and not re.search(r"[a-z]{3} [a-z]{3} [a-z]{3}", told), told


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
