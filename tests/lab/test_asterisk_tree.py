"""Sources of packages as machines have them, and what is said where no Asterisk can be had."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from config.demo import asterisk_tree
from config.demo.asterisk_tree import AsteriskMissing, Mirror, obtain_tree, read_sources

DEB822 = """\
# snapshot
Types: deb
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://deb.example.org/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example.org/
Suites: bookworm
Components: main

Types: deb deb-src
URIs: https://a.example.org/ubuntu
 https://b.example.org/ubuntu
Suites: noble
Components: main universe
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
"""
ONE_LINE = """\
# deb http://off.example.org/debian bookworm main
deb http://deb.example.org/debian/ bookworm main contrib # ours
deb [arch=amd64 signed-by=/etc/apt/keyrings/x.gpg] https://x.example.org/apt stable extra
deb-src http://deb.example.org/debian/ bookworm main
"""


def test_stanzas_are_read() -> None:
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert read_sources(DEB822, deb822=True) == [
        Mirror("http://deb.example.org/debian", "bookworm", ("main",), key),
        Mirror("http://deb.example.org/debian", "bookworm-updates", ("main",), key),
        Mirror("https://a.example.org/ubuntu", "noble", ("main", "universe")),
        Mirror("https://b.example.org/ubuntu", "noble", ("main", "universe")),
    ]


def test_one_line_entries_are_read() -> None:
    assert read_sources(ONE_LINE, deb822=False) == [
        Mirror("http://deb.example.org/debian/", "bookworm", ("main", "contrib")),
        Mirror("https://x.example.org/apt", "stable", ("extra",), "/etc/apt/keyrings/x.gpg"),
    ]


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINGXI_ASTERISK", raising=False)
    monkeypatch.setattr(asterisk_tree, "installed_asterisk", lambda: None)


def silent(line: str) -> None:
    pass


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    ("release", "said"),
    [({"ID": "fedora"}, "neither Debian nor Ubuntu"), ({"ID": "debian", "VERSION_CODENAME": "x"}, "apt has no source")],
)
def test_a_system_that_is_not_known_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(asterisk_tree, "_os_release", lambda: release)
    monkeypatch.setattr(asterisk_tree, "_machine_sources", list)
    with pytest.raises(AsteriskMissing, match=said):
        obtain_tree(tmp_path, silent)
    assert sorted(path.name for path in (tmp_path / "pbx").iterdir()) == ["tree.lock"]


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    "release", [{"ID": "debian", "VERSION_CODENAME": "bookworm"}, {"ID": "ubuntu", "VERSION_CODENAME": "noble"}]
)
def test_no_network_is_told_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, release: dict[str, str]
) -> None:
    monkeypatch.setattr(asterisk_tree, "_os_release", lambda: release)
    mirrors = [Mirror("http://127.0.0.1:9/nothing", release["VERSION_CODENAME"], ("main",))]
    monkeypatch.setattr(asterisk_tree, "_machine_sources", lambda: mirrors)
    with pytest.raises(AsteriskMissing, match=r"can't be reached .*: connect to the network"):
        obtain_tree(tmp_path, silent)
    assert sorted(path.name for path in (tmp_path / "pbx").iterdir()) == ["tree.lock"]


@pytest.mark.usefixtures("bare_machine")
def test_too_little_space_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(asterisk_tree, "SPACE_NEEDED", 1 << 60)
    with pytest.raises(AsteriskMissing, match="make room"):
        obtain_tree(tmp_path, silent)


def test_a_folder_that_holds_no_tree_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINGXI_ASTERISK", str(tmp_path))
    with pytest.raises(AsteriskMissing, match="LINGXI_ASTERISK"):
        obtain_tree(tmp_path, silent)


def test_a_tree_that_is_there_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.lab.asterisk_lab import peers_or_skip

    tree = peers_or_skip()
    if tree.root is None:
        pytest.skip("the machine's own Asterisk is used")
    monkeypatch.setenv("LINGXI_ASTERISK", str(tree.root))
    began = time.perf_counter()
    assert obtain_tree(Path("/nowhere"), silent) == tree
    assert time.perf_counter() - began < 0.1
