"""Settings: the documented file and the types agree, and whoever makes a mistake is told the line and the cure."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from config.settings import DEFAULTS, SECTIONS, Pbx, Settings, SettingsError
from config.settings_lines import find_lines
from config.settings_reading import advice, check, load
from crm_core.kernel.words import say

DOCUMENTED = DEFAULTS.read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"^#(?=[a-z\[])", "", DOCUMENTED, flags=re.MULTILINE)


def read(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "lingxi.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ, tmp_path)


def refused(tmp_path: Path, text: str = "", **environ: str) -> list[str]:
    """What is wrong, in English; each of it is wholly said in Chinese too."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, **environ)
    for problem in caught.value.problems:
        chinese = say("zh", problem.sentence)
        ours = re.sub(r"（[^）]*）", "", chinese)  # without what a parser said in its own words
        assert re.search("[\u4e00-\u9fff]", ours) and not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}|\{[a-z_]+\}", ours), chinese
    return [str(problem).replace(str(tmp_path / "lingxi.toml"), "FILE") for problem in caught.value.problems]


# ---------------------------------------------------------------------------------------------------- the documented
# file


def test_the_documented_file_says_what_is_the_case_when_nothing_is_said(tmp_path: Path) -> None:
    nothing = load(None, {}, tmp_path)
    documented = read(tmp_path, DOCUMENTED)
    for name in SECTIONS:
        assert getattr(documented, name) == getattr(nothing, name), name


def test_the_documented_file_has_every_option_and_a_comment_above_each() -> None:
    data = tomllib.loads(UNCOMMENTED)
    data["pbx"] = data["pbx"][0]
    kinds = {name: Pbx if name == "pbx" else type(getattr(Settings(), name)) for name in SECTIONS}
    assert {name: list(data[name]) for name in data} == {name: [one.name for one in fields(k)] for name, k in kinds.items()}
    lines = DOCUMENTED.splitlines()
    for (_, _, key), line in find_lines(UNCOMMENTED).items():
        if key:
            above = [one for one in lines[line - 3 : line - 1] if one.startswith("# ")]
            assert above, f"{key} has no comment above it"


def test_the_example_of_a_pbx_can_be_used_as_it_stands(tmp_path: Path) -> None:
    assert read(tmp_path, UNCOMMENTED).pbx == (Pbx(),)


# --------------------------------------------------------------------------------------------------------- file and
# environment


def test_the_file_changes_defaults_and_the_environment_changes_the_file(tmp_path: Path) -> None:
    text = '[web]\nport = 9000\nhost = "0.0.0.0"\n[[pbx]]\nname = "shang-hai"\n[[pbx]]\nname = "b"\nami_port = 5039\n'
    settings = read(
        tmp_path,
        text,
        LINGXI_WEB__PORT="9001",
        LINGXI_WEB__TRUSTED_PROXIES="10.0.0.0/8, 192.168.0.0/16",
        LINGXI_WEB__SESSION_HOURS="1.5",
        LINGXI_PBX__SHANG_HAI__AMI_SECRET="a=b",
        LINGXI_ROLES__ACTIVE="web",
        LINGXI_BUS__URL="redis://127.0.0.1:6379/0",
        LINGXI_REQUIRE_PEERS="1",
        OTHER__THING="x",
    )
    assert (settings.web.host, settings.web.port, settings.web.session_hours) == ("0.0.0.0", 9001, 1.5)
    assert settings.web.trusted_proxies == ("10.0.0.0/8", "192.168.0.0/16")
    assert [(pbx.name, pbx.ami_port, pbx.ami_secret) for pbx in settings.pbx] == [("shang-hai", 5038, "a=b"), ("b", 5039, "")]
    assert settings.roles.active == ("web",)


def test_paths_are_absolute_and_the_database_is_in_the_data_folder(tmp_path: Path) -> None:
    settings = load(None, {}, tmp_path)
    assert settings.home.folder == tmp_path / "var"
    assert settings.database.url == f"sqlite+aiosqlite:///{tmp_path}/var/lingxi.sqlite3"
    assert settings.recordings.folder == tmp_path / "var/recordings"
    moved = read(tmp_path, '[home]\nfolder = "a"\n[recordings]\nfolder = "/srv/rec"\n', LINGXI_HOME="b")
    assert moved.home.folder == tmp_path / "b"
    assert moved.recordings.folder == Path("/srv/rec")


def test_the_file_is_found_in_the_data_folder_or_where_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "lingxi.toml").write_text("[web]\nport = 1\n")
    (tmp_path / "other.toml").write_text("[web]\nport = 2\n")
    assert load(None, {}, tmp_path).web.port == 1
    assert load(None, {"LINGXI_SETTINGS": "other.toml"}, tmp_path).web.port == 2
    with pytest.raises(SettingsError, match="no such file"):
        load(None, {"LINGXI_SETTINGS": "none.toml"}, tmp_path)


# -------------------------------------------------------------------------------------------------------------------
# mistakes


@pytest.mark.parametrize(
    ("text", "where", "say"),
    [
        ("[web]\n\nprot = 8600\n", "FILE, line 3", "did you mean port?"),
        ("[wbe]\nport = 8600\n", "FILE, line 1", "did you mean web?"),
        ("\nport = 8600\n", "FILE, line 2", "there is no section port"),
        ('[web]\nport = "8600"\n', "FILE, line 2", "whole number without quotes"),
        ("[web]\nport = true\n", "FILE, line 2", "whole number without quotes"),
        ("[web]\nport = 70000\n", "FILE, line 2", "from 1 to 65535"),
        ("[web]\nhost = 1\n", "FILE, line 2", "text in quotes"),
        ('[web]\npublic_url = "calls.example.com"\n', "FILE, line 2", "http:// or https://"),
        ('[web]\ntrusted_proxies = ["10.0.0.300/8"]\n', "FILE, line 2", "10.0.0.0/8"),
        ('[web]\ntrusted_proxies = "10.0.0.0/8"\n', "FILE, line 2", "list"),
        ('[database]\nurl = "mysql://x/y"\n', "FILE, line 2", "postgresql+asyncpg://"),
        ('[phones]\nregion = "China"\n', "FILE, line 2", "CN"),
        ('[phones]\nextension_pattern = "[1-"\n', "FILE, line 2", "regular expression"),
        ('[logs]\nlevel = "loud"\n', "FILE, line 2", "debug, info, warning, error"),
        ("[roles]\nactive = []\n", "FILE, line 2", "cti, web, worker"),
        ('[roles]\nactive = ["web"]\n', "FILE, line 2", "[bus]"),
        ('[pbx]\nname = "a"\n', "FILE, line 1", "[[pbx]]"),
        ('[[pbx]]\nname = "a"\n\n[[pbx]]\nname = "b"\nami_prot = 1\n', "FILE, line 6", "ami_port"),
        ('[[pbx]]\nname = "a"\n[[pbx]]\nname = "A"\n', "FILE, line 4", "two PBXs"),
        ('[[pbx]]\nname = "a b"\n', "FILE, line 2", "letters, digits and hyphens"),
        ('[web]\ntls_cert = "x.pem"\n', "FILE, line 2", "both, or neither"),
        ("web = 1\n", "FILE, line 1", "[web]"),
        ("[web\nport = 1\n", "FILE, line 1", "not TOML"),
        ("[web]\nport = \n", "FILE, line 2", "not TOML"),
        ("[web]\nport = 1\nport = 2\n", "FILE, line 3", "not TOML"),
    ],
)
def test_a_mistake_is_told_with_line_and_cure(tmp_path: Path, text: str, where: str, say: str) -> None:
    first = refused(tmp_path, text)[0]
    assert first.startswith(where + ": ")
    assert say in first


@pytest.mark.parametrize(
    ("variable", "text", "say"),
    [
        ("LINGXI_WEB__PORT", "many", "whole number"),
        ("LINGXI_WEB__PROT", "1", "did you mean port?"),
        ("LINGXI_WBE__PORT", "1", "did you mean web?"),
        ("LINGXI_PBX__MIAN__HOST", "x", "did you mean main?"),
        ("LINGXI_PBX__HOST", "x", "LINGXI_PBX__NAME__OPTION"),
        ("LINGXI_PBX__MAIN__AMI_PORT", "0", "from 1 to 65535"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, variable: str, text: str, say: str) -> None:
    (problem,) = refused(tmp_path, '[[pbx]]\nname = "main"\n', **{variable: text})
    assert problem.startswith(variable + ": ")
    assert say in problem


def test_every_mistake_is_told_and_no_secret_with_it(tmp_path: Path) -> None:
    text = '[web]\nport = 0\n[database]\nurl = "mysql://me:hunter2@h/x"\n[metrics]\ntoken = 77777\n[nothing]\n'
    problems = refused(tmp_path, text)
    assert len(problems) == 4
    assert not any("hunter2" in problem or "77777" in problem for problem in problems)


def test_secrets_are_not_in_the_settings_when_printed(tmp_path: Path) -> None:
    text = '[[pbx]]\nami_secret = "hunter2"\nari_secret = "hunter2"\n[metrics]\ntoken = "hunter2"\n'
    settings = read(tmp_path, text, LINGXI_DATABASE__URL="postgresql+asyncpg://me:hunter2@h/x")
    assert "hunter2" not in repr(settings)


def test_check_is_ready_to_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(None, {}) == (
        True,
        f"No settings file; the defaults are used.\nData folder: {tmp_path}/var\nNote: no [[pbx]] is set; there will be no calls.",
    )
    fine, text = check(None, {"LINGXI_WEB__PORT": "0"})
    assert not fine
    assert text == "LINGXI_WEB__PORT: '0': it must be from 1 to 65535\n1 problem; nothing was started."


def test_listening_to_all_without_https_is_worth_a_word(tmp_path: Path) -> None:
    said = [str(one) for one in advice(read(tmp_path, '[web]\nhost = "0.0.0.0"\n[metrics]\ntoken = "short"\n'))]
    assert any("microphone" in line for line in said)
    assert any("16 characters" in line for line in said)
