"""The settings: what may be set, and what it is when nothing is said.

`settings_reading` reads them once at the start; nothing changes them afterwards and nothing else reads the
environment for them. What people change while the program runs (seats, queues, rules) is business data and lives in
the database, not here. `default.toml` beside this file documents every one; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

from config.settings_rules import Address, Between, OneOf, Pattern, networks, region, regular_expression
from crm_core.kernel.sentence import Sentence

DEFAULTS = Path(__file__).with_name("default.toml")
FILE_NAME = "lingxi.toml"
ROLES = ("cti", "web", "worker")

Port = Annotated[int, Between(1, 65535)]
Networks = Annotated[tuple[str, ...], networks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    folder: Path = Path("./var")


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    host: Annotated[str, Pattern(r"\S+", "write an address such as 127.0.0.1 or 0.0.0.0")] = "127.0.0.1"
    port: Port = 8600
    public_url: Annotated[str, Address(("http", "https"))] = ""
    trusted_proxies: Networks = ()
    tls_cert: str = ""
    tls_key: str = ""
    session_hours: Annotated[float, Between(0.1, 24 * 31)] = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    url: Annotated[str, Address(("sqlite+aiosqlite", "postgresql+asyncpg"))] = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    url: Annotated[str, Address(("redis", "rediss", "unix"), words=("memory",))] = field(default="memory", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pbx:
    name: Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9-]*", "write a name of letters, digits and hyphens")] = "main"
    host: Annotated[str, Pattern(r"\S+", "write the address of the PBX")] = "127.0.0.1"
    ami_port: Port = 5038
    ami_user: str = "lingxi"
    ami_secret: str = field(default="", repr=False)
    ari_url: Annotated[str, Address(("http", "https"))] = ""
    ari_user: str = "lingxi"
    ari_secret: str = field(default="", repr=False)
    ws_url: Annotated[str, Address(("ws", "wss"))] = ""
    recordings_spool: str = ""
    books: str = ""
    journal_days: Annotated[int, Between(1, 3650)] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    region: Annotated[str, region] = "CN"
    outside_prefix: Annotated[str, Pattern(r"[0-9*#]*", "write digits, or nothing")] = ""
    extension_pattern: Annotated[str, regular_expression] = "(?!1[12][0-9]$|1[0-2][0-9]{3}$)[1-8][0-9]{2,4}"
    area_code: Annotated[str, Pattern(r"[0-9]*", "write digits, such as 0571, or nothing")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    wrap_up_s: Annotated[int, Between(0, 3600)] = 30
    sl_threshold_s: Annotated[int, Between(1, 3600)] = 20
    short_abandon_s: Annotated[int, Between(0, 600)] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    folder: Path = Path("recordings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    level: Annotated[str, OneOf(("debug", "info", "warning", "error"))] = "info"
    format: Annotated[str, OneOf(("auto", "text", "json"))] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    allowed_networks: Networks = ("127.0.0.0/8", "::1/128")
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    active: Annotated[tuple[str, ...], OneOf(ROLES)] = ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of them. Made by `load`, paths are absolute and the database has an address."""

    home: Home = Home()
    web: Web = Web()
    database: Database = Database()
    bus: BusSettings = BusSettings()
    pbx: tuple[Pbx, ...] = ()
    phones: Phones = Phones()
    calls: Calls = Calls()
    recordings: Recordings = Recordings()
    logs: Logs = Logs()
    metrics: Metrics = Metrics()
    roles: Roles = Roles()
    file: Path | None = None


SECTIONS = {one.name: one for one in fields(Settings) if one.name != "file"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands (a file, a variable, with the line where there is one), what it is and what to do."""

    where: str | Sentence
    what: Sentence
    line: int | None = None

    @property
    def sentence(self) -> Sentence:
        """All of it in one."""
        if self.line is None:
            return Sentence("{where}: {what}", where=self.where, what=self.what)
        return Sentence("{where}, line {line}: {what}", where=self.where, line=self.line, what=self.what)

    def __str__(self) -> str:
        return str(self.sentence)


class SettingsError(ValueError):
    """The settings can't be used; every problem is listed, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
