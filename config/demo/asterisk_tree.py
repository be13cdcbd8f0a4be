"""Where the demo's and the tests' Asterisk comes from: an installed one, or packages unpacked into a folder of ours.

Unpacking needs neither root nor a container: `apt-get` works on private folders with the machine's own mirrors and keys,
`dpkg-deb -x` lays the files out, and the programs run through the C loader that came with them. This module finds or makes
such a tree and says how a program in it is called; it neither configures nor starts anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.tongue import told
from crm_core.kernel.sentence import Sentence, Trouble

Tell = Callable[[str], None]

OLDEST: Final = 18
SPACE_NEEDED: Final = 900 * 1024 * 1024
PACKAGES: Final = (
    "asterisk",
    "asterisk-modules",
    "asterisk-core-sounds-en-wav",
    "asterisk-moh-opsound-wav",
    "sip-tester",
    "espeak-ng",
)
# What the packages bring along and no telephone call ever opens.
_UNUSED: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl", "usr/lib/python3")
_STAMP: Final = ".lingxi-tree.json"
_FORM: Final = 1  # raised when a tree made by an older edition would no longer do


class AsteriskMissing(Trouble):
    """No Asterisk can be had; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskTree:
    """An Asterisk that can be run. `root` is None where the machine's own installation is meant.

    `modules`, `sounds` and `music` are folders; each exists, `music` excepted (None: no music on hold there).
    """

    root: Path | None
    version: str
    modules: Path
    share: Path
    sounds: Path
    music: Path | None

    def asterisk(self, *args: str) -> list[str]:
        """The command line of Asterisk with these arguments."""
        return self._program("asterisk", args)

    def sipp(self, *args: str) -> list[str]:
        """The command line of SIPp, the machine's own before the tree's; AsteriskMissing where there is neither."""
        return self._peer("sipp", "sip-tester", args)

    def speak(self, *args: str) -> list[str]:
        """The command line of espeak-ng; AsteriskMissing where there is none."""
        if shutil.which("espeak-ng") is None and self.root is not None:
            args = (f"--path={self.root}/usr/lib/{_multiarch(self.root)}", *args)
        return self._peer("espeak-ng", "espeak-ng", args)

    @property
    def two_channel(self) -> bool:
        """Whether its MixMonitor can write one file of two channels (option D, absent at least up to 20.6)."""
        try:
            manual = (self.share / "documentation/core-en_US.xml").read_text(errors="replace")
        except OSError:
            return _major(self.version) >= 22
        about = re.search(r'<application name="MixMonitor".*?</application>', manual, re.DOTALL)
        return about is not None and '<option name="D"' in about.group()

    def _peer(self, name: str, package: str, args: tuple[str, ...]) -> list[str]:
        found = shutil.which(name)
        if found is not None:
            return [found, *args]
        if self.root is not None and (self.root / "usr/bin" / name).exists():
            return self._program(name, args)
        raise AsteriskMissing(
            "There is no {name} on this machine: install it with `apt install {package}`.", name=name, package=package
        )

    def _program(self, name: str, args: tuple[str, ...]) -> list[str]:
        if self.root is None:
            return [_on_path(name) or name, *args]
        return [*_loader(self.root), str(_binary(self.root, name)), *args]


def obtain_tree(home: Path, tell: Tell = print) -> AsteriskTree:
    """Find an Asterisk, or unpack one below `home`/pbx; blocks, the first time for about half a minute.

    Looks at LINGXI_ASTERISK (the folder of an unpacked tree), then for an installed `asterisk`, then for our own tree. Raises
    AsteriskMissing. `tell` gets a line of progress for each step that takes time.
    """
    named = os.environ.get("LINGXI_ASTERISK")
    if named:
        return _tree_at(Path(named).resolve())
    installed = installed_asterisk()
    if installed is not None:
        return installed
    root = (home / "pbx" / "tree").resolve()
    if _stamp(root) is None:
        _make_tree(root, tell)
    return _tree_at(root)


def installed_asterisk() -> AsteriskTree | None:
    """The machine's own Asterisk, if it has one that is new enough and can be read by us."""
    program = _on_path("asterisk")
    if program is None:
        return None
    version = _version([program])
    if version is None or _major(version) < OLDEST:
        return None
    places = [Path(p) for p in (*_glob("/usr/lib/*/asterisk/modules"), "/usr/lib/asterisk/modules", "/usr/lib64/asterisk/modules")]
    modules = next((p for p in places if (p / "chan_pjsip.so").exists()), None)
    shares = (Path("/usr/share/asterisk"), Path("/var/lib/asterisk"))
    share = next((p for p in shares if (p / "sounds").is_dir()), None)
    if modules is None or share is None:
        return None
    return _described(None, version, modules, share)


# ------------------------------------------------------------------------------------------------------ reading a tree


def _tree_at(root: Path) -> AsteriskTree:
    if not (root / "usr/sbin/asterisk").exists():
        raise AsteriskMissing(
            "{folder} holds no unpacked Asterisk: correct LINGXI_ASTERISK, or unset it to have one fetched.", folder=root
        )
    version = (_stamp(root) or {}).get("version") or _version([*_loader(root), str(_binary(root, "asterisk"))])
    if version is None or _major(version) < OLDEST:
        raise AsteriskMissing(
            "The Asterisk in {folder} does not run or is older than {oldest}: name another in LINGXI_ASTERISK.",
            folder=root,
            oldest=OLDEST,
        )
    return _described(root, version, root / f"usr/lib/{_multiarch(root)}/asterisk/modules", root / "usr/share/asterisk")


def _described(root: Path | None, version: str, modules: Path, share: Path) -> AsteriskTree:
    voices = (*sorted(share.glob("sounds/en_US*")), share / "sounds/en", share / "sounds")
    sounds = next((p for p in voices if p.is_dir()), share)
    music = share / "moh"
    found = music if music.is_dir() and any(music.iterdir()) else None
    return AsteriskTree(root=root, version=version, modules=modules, share=share, sounds=sounds, music=found)


def _loader(root: Path) -> list[str]:
    """The words before a program of the tree: its own C loader, told where its own libraries are."""
    for pattern in (
        "usr/lib64/ld-linux*.so.*",
        "lib64/ld-linux*.so.*",
        "usr/lib/ld-linux*.so.*",
        "usr/lib/*/ld-linux*.so.*",
        "lib/*/ld-linux*.so.*",
    ):
        for found in sorted(root.glob(pattern)):
            arch = _multiarch(root)
            folders = (f"{root}/usr/lib/{arch}", f"{root}/lib/{arch}", f"{root}/usr/lib/{arch}/pulseaudio")
            return [str(found), "--library-path", ":".join(folders)]
    raise AsteriskMissing("{folder} lacks the C library its programs need: remove that folder and start again.", folder=root)


def _multiarch(root: Path) -> str:
    found = next(iter(sorted(root.glob("usr/lib/*-linux-gnu*"))), None)
    return found.name if found is not None else "x86_64-linux-gnu"


def _binary(root: Path, name: str) -> Path:
    places = [root / f"usr/{folder}/{name}" for folder in ("sbin", "bin")]
    return next((p for p in places if p.exists()), places[0])


def _stamp(root: Path) -> dict[str, str] | None:
    try:
        stamp = json.loads((root / _STAMP).read_text())
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and stamp.get("form") == _FORM else None


def _version(program: list[str]) -> str | None:
    try:
        said = subprocess.run([*program, "-V"], capture_output=True, text=True, timeout=20, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Asterisk (?:certified/)?(\d+[\w.\-~+]*)", said)
    return match.group(1) if match else None


def _major(version: str) -> int:
    return int(re.match(r"\d+", version).group())  # type: ignore[union-attr]


def _on_path(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


def _glob(pattern: str) -> list[str]:
    return sorted(str(p) for p in Path("/").glob(pattern.lstrip("/")))


# ------------------------------------------------------------------------------------------------------- making a tree


def _make_tree(root: Path, tell: Tell) -> None:
    """Fetch and unpack beside `root`, then rename into place; two makers at once wait for each other."""
    for tool in ("apt-get", "apt-config", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise AsteriskMissing(
                "This is no Debian-like system (no {tool}): install Asterisk {oldest} or later and SIPp by its own means.",
                tool=tool,
                oldest=OLDEST,
            )
    root.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(root.parent / "tree.lock", tell):
        if _stamp(root) is not None:
            return
        _check_space(root.parent)
        work = Path(tempfile.mkdtemp(prefix="tree-", dir=root.parent))
        try:
            fresh = _fetch_and_unpack(work, tell)
            _stamped(fresh)
            if root.exists():
                root.rename(work / "old")
            fresh.rename(root)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    tell(told("Asterisk {version} is unpacked.", version=(_stamp(root) or {}).get("version", "?")))


@contextmanager
def _only_one(path: Path, tell: Tell) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(told("Waiting for another process that is unpacking Asterisk."))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < SPACE_NEEDED:
        raise AsteriskMissing(
            "Unpacking Asterisk needs {needed} MB in {folder}, which has {free} MB: "
            "make room, or let LINGXI_HOME name a folder on another disk.",
            needed=SPACE_NEEDED // 2**20,
            folder=folder,
            free=free // 2**20,
        )


def _stamped(fresh: Path) -> None:
    version = _version([*_loader(fresh), str(_binary(fresh, "asterisk"))])
    if version is None:
        raise AsteriskMissing(
            "The fetched Asterisk does not run on this machine: install `asterisk` and `sip-tester` with apt as root."
        )
    (fresh / _STAMP).write_text(json.dumps({"form": _FORM, "version": version}))


def _fetch_and_unpack(work: Path, tell: Tell) -> Path:
    config = _private_apt(work)
    environment = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    tell(told("Fetching the list of packages (11 MB)."))
    _apt(environment, "update", "--error-on=any")
    tell(told("Fetching Asterisk and its libraries (135 MB)."))
    _apt(environment, "install", "--yes", "--no-install-recommends", "--download-only", *PACKAGES)
    packages = sorted((work / "cache/archives").glob("*.deb"))
    tell(told("Unpacking {n} packages.", n=len(packages)))
    fresh = work / "tree"
    fresh.mkdir()
    with ThreadPoolExecutor(max_workers=2) as pool:
        for outcome in [pool.submit(_unpack, package, fresh) for package in packages]:
            outcome.result()
    for folder in _UNUSED:
        shutil.rmtree(fresh / folder, ignore_errors=True)
    return fresh


def _unpack(package: Path, fresh: Path) -> None:
    done = subprocess.run(["dpkg-deb", "-x", str(package), str(fresh)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    package.unlink()
    if done.returncode != 0:
        why = _last_line(done.stderr)
        raise AsteriskMissing("Unpacking {package} failed: {why}; check the disk and start again.", package=package.name, why=why)


def _apt(environment: dict[str, str], *args: str) -> None:
    done = subprocess.run(["apt-get", "-q", *args], env=environment, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode == 0:
        return
    said = _last_line("\n".join(line for line in done.stderr.splitlines() if line.startswith("E:")) or done.stderr)
    if re.search(r"resolve|connect|timed? ?out|Failed to fetch|unreachable", done.stderr, re.IGNORECASE):
        raise AsteriskMissing("The package mirror can't be reached ({why}): connect to the network and start again.", why=said)
    if "space" in done.stderr:
        raise AsteriskMissing("The disk is full ({why}): make room, or let LINGXI_HOME name another folder.", why=said)
    raise AsteriskMissing("apt could not fetch Asterisk ({why}): install `asterisk` and `sip-tester` with apt as root.", why=said)


def _last_line(text: str) -> str | Sentence:
    """What a program said last, in its own words."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("E: ")[:300] if lines else Sentence("it did not say why")


def _private_apt(work: Path) -> Path:
    """An apt configuration whose every folder lies in `work`; of the machine's it keeps only how to reach the network."""
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/parts", "etc/preferences.d", "etc/trusted.gpg.d"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "etc/none.conf").touch()
    (work / "etc/sources.list").write_text("".join(f"{line}\n" for line in _sources()))
    acquire = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout  # noqa: S607
    network = [
        line for line in acquire.splitlines() if re.match(r"Acquire::(https?|ftp|proxy|Retries|ForceIPv)", line, re.IGNORECASE)
    ]
    settings = [
        f'Dir::State "{work}/state";',
        f'Dir::State::status "{work}/status";',
        f'Dir::Cache "{work}/cache";',
        f'Dir::Etc "{work}/etc";',
        f'Dir::Etc::main "{work}/etc/none.conf";',
        f'Dir::Etc::parts "{work}/etc/parts";',
        f'Dir::Etc::sourcelist "{work}/etc/sources.list";',
        f'Dir::Etc::sourceparts "{work}/etc/no-more-sources";',
        f'Dir::Log "{work}";',
        'APT::Sandbox::User "";',
        'Acquire::Languages "none";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Retries "2";',
    ]
    config = work / "etc/apt.conf"
    config.write_text("\n".join(network + settings) + "\n")
    return config


# ----------------------------------------------------------------------------------------------------- the apt sources


@dataclass(frozen=True, slots=True)
class Mirror:
    """One source of packages as the machine has it."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


def read_sources(text: str, *, deb822: bool) -> list[Mirror]:
    """The binary sources in a file of apt's: deb822 stanzas (`.sources`) or one-line entries (`.list`); see sources.list(5)."""
    return list(_stanzas(text) if deb822 else _one_line(text))


def _stanzas(text: str) -> Iterator[Mirror]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        signed = fields.get("signed-by", "").strip()
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Mirror(uri, suite, tuple(fields.get("components", "").split()), signed if signed.startswith("/") else "")


def _one_line(text: str) -> Iterator[Mirror]:
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<rest>[^#]*)", line)
        if match is None:
            continue
        signed = re.search(r"signed-by=(/\S+)", match["options"] or "")
        yield Mirror(match["uri"], match["suite"], tuple(match["rest"].split()), signed.group(1) if signed else "")


def _sources() -> list[str]:
    """The lines of the private sources.list: the machine's own mirror with the suite that has Asterisk."""
    system = _os_release()
    kind = "ubuntu" if "ubuntu" in (system.get("ID", ""), *system.get("ID_LIKE", "").split()) else system.get("ID", "")
    codename = system.get("UBUNTU_CODENAME") or system.get("VERSION_CODENAME", "")
    if kind not in ("debian", "ubuntu"):
        raise AsteriskMissing(
            "This system ({name}) is neither Debian nor Ubuntu: install Asterisk {oldest} or later by its own means.",
            name=kind or "?",
            oldest=OLDEST,
        )
    suites = [f"{codename} main universe", f"{codename}-updates main universe"]
    if kind == "debian":  # its stable releases have no Asterisk
        suites = ["sid main"]
    keyring = f"/usr/share/keyrings/{kind}-archive-keyring.gpg"
    mirror = _own_mirror(_machine_sources(), codename)
    key = keyring if Path(keyring).exists() else mirror.signed_by
    option = f"[signed-by={key}] " if key else ""
    return [f"deb {option}{mirror.uri} {suite}" for suite in suites]


def _own_mirror(sources: list[Mirror], codename: str) -> Mirror:
    names = {codename, "stable", "testing", "unstable", "sid"}
    for mirror in sources:
        if mirror.suite in names and "main" in mirror.components:
            return mirror
    raise AsteriskMissing("apt has no source for this system's own packages: add one, or install `asterisk` and `sip-tester`.")


def _machine_sources() -> list[Mirror]:
    folder = Path("/etc/apt")
    files = [
        folder / "sources.list",
        *sorted(folder.glob("sources.list.d/*.sources")),
        *sorted(folder.glob("sources.list.d/*.list")),
    ]
    found: list[Mirror] = []
    for path in files:
        if path.is_file() and os.access(path, os.R_OK):
            found += read_sources(path.read_text(errors="replace"), deb822=path.suffix == ".sources")
    return found


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip().strip('"') for name, _, value in pairs}
