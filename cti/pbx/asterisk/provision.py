"""Asterisk's configuration, rendered from a frozen description of seats, queues, numbers and trunks.

Pure but for `write_atomically`: text in, text out; it reads no database and talks to no PBX. The templates are handed in as a
folder, because they belong to the outermost layer. Two uses, one set of templates:

* **An Asterisk of our own** (`PbxPlan.own` is set): every file Asterisk reads, all folders private, everything on one address.
* **An Asterisk that is there already** (`own` is None): only the parts named by `INCLUDES`, to be written to a folder below its
  configuration folder and taken in by one `#include` line at the end of the file of that name (`extensions.conf`: `#include
  lingxi/extensions.conf`, and so on). Its own transports, http.conf and rtp.conf stay as they are; the manager user is in
  lingxi/manager.conf, the store of browser secrets in lingxi/sorcery.conf (before any [res_pjsip] section of its own).

Secrets of browser phones are not in any file. The seat's `auth` object lives in Asterisk's own database through sorcery
(`auth = astdb`), so it survives a restart of the PBX while we are away, and no reload touches a live call. Whoever gives a seat
session its secret sends one ARI request (`secret_request` makes its parts):

    PUT http://<http>/ari/asterisk/config/dynamic/res_pjsip/auth/<extension>
    {"fields": [{"attribute": "auth_type", "value": "userpass"}, {"attribute": "username", "value": "<extension>"},
                {"attribute": "password", "value": "<secret>"}]}

It answers 200 whether the object was there or not; a DELETE of the same address (204, or 404 when absent) takes the secret away.

The guard of wrap-up runs in the PBX (contexts `lingxi-answered`, `lingxi-left`, `lingxi-lift`): a member that takes an offer is
paused in all its queues with the reason `GUARD_REASON` before the two are joined, as long as `HEARTBEAT` (a global variable
holding seconds since the epoch, sent with AMI Setvar every two seconds or so, 0 = gone) is younger than `FRESH_S`. A seat that
hangs up while being joined is paused by its leg's hang-up handler; so the pause is lifted only after that leg's Hangup event, never
on AgentComplete, which may come a moment before the pause. Whoever lifts
or replaces the pause (AMI QueuePause) then sends `guard_lifted(extension)` as Variable and Value of an AMI Setvar without Channel,
so that the PBX, which lifts by itself the pauses of its guard once the heartbeat has stopped, leaves any other pause alone. (The
mark is a custom device state because that is the one thing that survives a restart, is read by the dialplan and may be set over
AMI without the `system` privilege.)
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crm_core.kernel.sentence import Sentence, Trouble

HEARTBEAT: Final = "LINGXI_BEAT"
FRESH_S: Final = 10
GUARD_REASON: Final = "WrapUp"
GUARD_FAMILY: Final = "lingxi-guard"
# The contexts a driver needs to name.
SEAT_CONTEXT: Final = "lingxi-seats"
CLICK_CONTEXT: Final = "lingxi-click"
CALLER_ID_VARIABLE: Final = "LX_CALLER_ID"
INCLUDES: Final = ("cel.conf", "cel_custom.conf", "extensions.conf", "manager.conf", "pjsip.conf", "queues.conf", "sorcery.conf")
STRATEGIES: Final = ("ringall", "leastrecent", "fewestcalls", "random", "rrmemory", "linear", "rrordered")


class BadPlan(Trouble, ValueError):
    """A value can't stand in a configuration file of Asterisk; the sentence names it and what is allowed."""


def guard_lifted(extension: str) -> tuple[str, str]:
    """Variable and Value of the AMI Setvar (no Channel) that says: the guard's pause of this seat was lifted or replaced by us."""
    return f"DEVICE_STATE(Custom:{GUARD_FAMILY}-{_matched('extension', extension, _NAME)})", "NOT_INUSE"


def secret_request(extension: str, secret: str) -> tuple[str, dict[str, object]]:
    """The path below the ARI address, and the JSON body to PUT there, that give a browser phone this secret and no other."""
    _matched("extension", extension, _NAME)
    _checked_secret(Sentence("the phone of {extension}", extension=extension), secret)
    values = {"auth_type": "userpass", "username": extension, "password": secret}
    fields = [{"attribute": name, "value": value} for name, value in values.items()]
    return f"/asterisk/config/dynamic/res_pjsip/auth/{extension}", {"fields": fields}


# ------------------------------------------------------------------------------------------------------------- values
# Asterisk's files have no general way of quoting: a line feed ends the option, `;` starts a comment, `[` a section, `$` an
# expression, a comma the next argument. So each kind of value says which characters it may have; anything else is refused.

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NUMBER: Final = re.compile(r"\+?[0-9*]{1,32}")
_DIGITS: Final = re.compile(r"\+?[0-9]{0,32}")
_PREFIX: Final = re.compile(r"[0-9*]{0,4}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{8,128}")
_ADDRESS: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_MATCH: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2}|:[0-9]{1,5})?")
_CONTACT: Final = re.compile(r"sip:(?:[A-Za-z0-9_.+-]{1,64}@)?[A-Za-z0-9.-]{1,200}(?::[0-9]{1,5})?(?:;transport=(?:udp|tcp|tls))?")
_CODECS: Final = re.compile(r"alaw|ulaw|alaw,ulaw|ulaw,alaw")  # 8 kHz, see pjsip.conf
_SOUND: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_/-]{0,99})?")
_PATH: Final = re.compile(r"/[^\x00-\x1f\x7f;\[\]\\\"<>|,${}#!]{0,400}")
_TITLE_DROPS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029;\\\"<>\[\]{}$#|,=()&^%`']")


def _matched(what: str, value: str, allowed: re.Pattern[str]) -> str:
    if not isinstance(value, str) or allowed.fullmatch(value) is None:
        raise BadPlan(
            "{what} {value} can't stand in Asterisk's configuration: it must match {pattern}",
            what=Sentence(what),
            value=repr(value)[:80],
            pattern=allowed.pattern,
        )
    return value


def _checked_secret(whose: str | Sentence, value: str) -> None:
    """Like `_matched`, but the value is not told."""
    if not isinstance(value, str) or _SECRET.fullmatch(value) is None:
        raise BadPlan("the secret of {whose} must match {pattern}", whose=whose, pattern=_SECRET.pattern)


def _within(what: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadPlan(
            "{what} {value} must be a whole number from {low} to {high}", what=what, value=repr(value)[:40], low=low, high=high
        )


def shown_name(text: str) -> str:
    """A display name with everything taken out that means something to Asterisk; at most 60 characters, "" if nothing is left."""
    return " ".join(_TITLE_DROPS.sub(" ", text).split())[:60].strip()


# --------------------------------------------------------------------------------------------------------------- plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A workplace. A browser seat registers over the web socket and gets its secret at run time; `secret` must be "" there."""

    extension: str
    name: str
    browser: bool
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _matched("extension", self.extension, _NAME)
        if self.browser == bool(self.secret):
            raise BadPlan(
                "seat {extension}: a browser seat has no secret in the plan, any other seat has one", extension=self.extension
            )
        if self.secret:
            _checked_secret(Sentence("the phone of {extension}", extension=self.extension), self.secret)

    @property
    def shown(self) -> str:
        return shown_name(self.name) or self.extension


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlan:
    """A waiting line. Times are whole seconds; `max_wait_s` 0 = for ever. `announce_every_s` 0 = no position is said.

    The time after a call is not here: its end is told by the seat, not by the queue (see the guard above).
    """

    name: str
    title: str
    strategy: str = "leastrecent"
    ring_s: int = 20
    retry_s: int = 1
    max_wait_s: int = 0
    max_waiting: int = 0
    music: str = "default"
    welcome: str = ""
    announce_every_s: int = 0
    service_level_s: int = 20
    record: bool = True

    def __post_init__(self) -> None:
        _matched("queue name", self.name, _NAME)
        _matched("class of music", self.music, _NAME)
        _matched("welcome sound", self.welcome, _SOUND)
        if self.name == "general":
            raise BadPlan("a queue can't be called general")
        if self.strategy not in STRATEGIES:
            raise BadPlan("strategy {value} is none of {known}", value=repr(self.strategy)[:40], known=", ".join(STRATEGIES))
        _within("ring_s", self.ring_s, 1, 600)
        _within("retry_s", self.retry_s, 0, 600)
        for what in ("max_wait_s", "max_waiting", "announce_every_s", "service_level_s"):
            _within(what, getattr(self, what), 0, 86_400)

    @property
    def shown(self) -> str:
        return shown_name(self.title) or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPlan:
    """A number that callers dial, and the queue they come to."""

    number: str
    queue: str

    def __post_init__(self) -> None:
        _matched("number", self.number, _NUMBER)
        _matched("queue name", self.queue, _NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPlan:
    """A way to the outside, known by where its requests come from (`a.b.c.d`, with `:port` or `/bits`); `contact` is a SIP URI."""

    name: str
    matches: tuple[str, ...]
    contact: str
    codecs: str = "alaw,ulaw"

    def __post_init__(self) -> None:
        _matched("trunk name", self.name, _NAME)
        _matched("contact of the trunk", self.contact, _CONTACT)
        _matched("codecs of the trunk", self.codecs, _CODECS)
        if not self.matches:
            raise BadPlan("trunk {name} names no address its calls come from", name=self.name)
        for match in self.matches:
            _matched("address of the trunk", match, _MATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingPlan:
    """How seats reach the outside: over which trunk, after which prefix, showing which number ("" = the trunk's own).

    A number that is no seat's, has no prefix and is at least seven digits long goes out as it was dialled.
    """

    trunk: str
    prefix: str = "9"
    caller_id: str = ""
    ring_s: int = 60
    record: bool = True

    def __post_init__(self) -> None:
        _matched("trunk name", self.trunk, _NAME)
        _matched("prefix", self.prefix, _PREFIX)
        _matched("caller id", self.caller_id, _DIGITS)
        _within("ring_s", self.ring_s, 1, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user of the manager interface or of ARI."""

    user: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        _matched("user", self.user, _NAME)
        _checked_secret(self.user, self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of an Asterisk of our own. The RTP range is even-numbered at its start and both ends belong to it."""

    sip: int
    ami: int
    http: int
    rtp_first: int
    rtp_last: int

    def __post_init__(self) -> None:
        for what in ("sip", "ami", "http", "rtp_first", "rtp_last"):
            _within(what, getattr(self, what), 1024, 65_535)
        if self.rtp_first % 2 or self.rtp_last - self.rtp_first < 20:
            raise BadPlan("the RTP range must start with an even port and hold at least twenty")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlan:
    """What only an Asterisk of our own needs to be told: where its files lie and what it listens on.

    `home` gets the folders etc, var, db, data, spool, run and log. `ice_hosts` are the machine's addresses that browsers on the
    same machine shall see as 127.0.0.1. `run` must be short: the path of a UNIX socket has at most 107 bytes.
    """

    home: str
    run: str
    modules: str
    music: str
    ports: Ports
    address: str = "127.0.0.1"
    ice_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what in ("home", "run", "modules"):
            _matched(what, getattr(self, what), _PATH)
        if self.music:
            _matched("music", self.music, _PATH)
        for address in (self.address, *self.ice_hosts):
            _matched("address", address, _ADDRESS)
        if len(self.run.encode()) > 90:
            raise BadPlan("the folder {folder} has too long a path for a socket", folder=self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxPlan:
    """One PBX as it shall be. `name` becomes part of every call's identifier, so each PBX has its own.

    Recordings lie in its spool folder `monitor`, 16-bit little-endian at 8 kHz without a header, named after the leg they hang on
    (the one to the outside). `two_channel`: `<leg>.raw`, the outside as channel 1, the seats as channel 2. Without (an Asterisk
    whose MixMonitor lacks the option D): two files of one channel, `<leg>-1.raw` and `<leg>-2.raw`, that begin together.
    """

    name: str
    manager: Login
    ari: Login
    seats: tuple[Seat, ...]
    queues: tuple[QueuePlan, ...]
    numbers: tuple[NumberPlan, ...]
    trunks: tuple[TrunkPlan, ...]
    outgoing: OutgoingPlan | None = None
    own: OwnPlan | None = None
    two_channel: bool = True

    def __post_init__(self) -> None:
        _matched("name of the PBX", self.name, _NAME)
        for what, names in self._names().items():
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise BadPlan("{what} {name} is there twice", what=what, name=sorted(twice)[0])
        queues = {queue.name for queue in self.queues}
        for number in self.numbers:
            if number.queue not in queues:
                raise BadPlan(
                    "number {number} leads to the queue {queue}, which is not there", number=number.number, queue=number.queue
                )
        if self.outgoing is not None and self.outgoing.trunk not in {trunk.name for trunk in self.trunks}:
            raise BadPlan("outgoing calls use the trunk {trunk}, which is not there", trunk=self.outgoing.trunk)

    def _names(self) -> Mapping[Sentence, list[str]]:
        """What must differ; seats and trunks share PJSIP's one space of names, with those the templates use themselves."""
        endpoints = [s.extension for s in self.seats] + [t.name for t in self.trunks]
        return {
            Sentence("the endpoint"): [*endpoints, "global", "system", "lingxi-udp", "lingxi-ws"],
            Sentence("the queue"): [queue.name.lower() for queue in self.queues],
            Sentence("the number"): [number.number for number in self.numbers],
        }


# ---------------------------------------------------------------------------------------------------------- rendering


@lru_cache(maxsize=4)
def _environment(templates: Path) -> Environment:
    """Plain text, nothing escaped: every value was checked when the plan was made."""
    made = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not markup
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals.update(
        heartbeat=HEARTBEAT,
        fresh_s=FRESH_S,
        guard_reason=GUARD_REASON,
        guard_family=GUARD_FAMILY,
        seat_context=SEAT_CONTEXT,
        click_context=CLICK_CONTEXT,
        caller_id_variable=CALLER_ID_VARIABLE,
    )
    return made


def rendered(plan: PbxPlan, templates: Path) -> dict[str, str]:
    """File name to text: all files for an Asterisk of our own, only INCLUDES for one that is there already."""
    environment = _environment(templates)
    names = sorted(name.removesuffix(".j2") for name in environment.list_templates(extensions=["j2"]))
    wanted = names if plan.own is not None else [name for name in names if name in INCLUDES]
    return {name: environment.get_template(f"{name}.j2").render(plan=plan, own=plan.own) for name in wanted}


def write_atomically(plan: PbxPlan, templates: Path, folder: Path) -> frozenset[str]:
    """Bring `folder` up to date, readable by its owner only; the names of the files that changed (none: nothing to reload).

    Each file is replaced whole, so that an Asterisk reading meanwhile sees the old or the new one. Files of other names stay.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return frozenset(_replaced(folder, rendered(plan, templates)))


def _replaced(folder: Path, files: Mapping[str, str]) -> Iterator[str]:
    for name, text in files.items():
        path = folder / name
        data = text.encode()
        if path.exists() and path.read_bytes() == data:
            continue
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)  # mkstemp makes it 0600
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        yield name
