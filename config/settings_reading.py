"""How the settings are read: defaults, then one TOML file, then the environment, with every mistake told by line and
cure.

What may be set stands in `settings`; this module knows the forms, not the meanings. It writes nothing.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from config.settings import FILE_NAME, ROLES, SECTIONS, Database, Home, Pbx, Problem, Recordings, Settings, SettingsError
from config.settings_lines import Place, find_lines, line_of


def load(file: Path | None = None, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """The settings of this start: defaults, then the file, then the environment. Raises SettingsError.

    Without `file` it is the one named by LINGXI_SETTINGS, or `lingxi.toml` in the data folder if there is one.
    `folder` is what relative paths begin at (the working folder).
    """
    environ, folder = os.environ if environ is None else environ, folder or Path.cwd()
    named = file or (Path(environ["LINGXI_SETTINGS"]) if environ.get("LINGXI_SETTINGS") else None)
    path = folder / (named or Path(environ.get("LINGXI_HOME") or "var") / FILE_NAME)
    if not path.is_file():
        if named is not None:
            raise SettingsError([Problem(str(path), "there is no such file; write it, or unset LINGXI_SETTINGS")])
        return _Reading(None, "", environ).settings(folder)
    try:
        return _Reading(path, path.read_text(encoding="utf-8"), environ).settings(folder)
    except (OSError, UnicodeDecodeError) as failure:
        raise SettingsError([Problem(str(path), f"it can't be read ({failure}); it must be a UTF-8 text file")]) from None


class _Reading:
    """One reading of file and environment, gathering problems on the way."""

    def __init__(self, path: Path | None, text: str, environ: Mapping[str, str]) -> None:
        self._path = path
        self._text = text
        self._environ = environ
        self._lines: dict[Place, int] = find_lines(text)
        self._problems: list[Problem] = []

    def settings(self, folder: Path) -> Settings:
        data = self._parse()
        values: dict[str, Any] = {}
        for name, value in data.items():
            if name not in SECTIONS:
                self._complain(("", 0, name), _unknown("section", name, list(SECTIONS)), block=name)
            elif name == "pbx":
                values[name] = self._pbxs(value)
            else:
                values[name] = self._section(name, 0, value, type(getattr(Settings(), name)))
        made = Settings(**{k: v for k, v in values.items() if v is not None}, file=self._path)
        made = _absolute(self._from_environ(made), folder, self._environ)
        self._together(made)
        if self._problems:
            raise SettingsError(self._problems)
        return made

    def _parse(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as failure:
            found = re.search(r"at line (\d+)", str(failure))
            line = found[1] if found else str(len(self._text.splitlines()))
            say = f"this is not TOML ({failure}); text needs quotes, lists need brackets"
            raise SettingsError([Problem(f"{self._path}, line {line}", say)]) from None

    def _pbxs(self, value: Any) -> tuple[Pbx, ...]:
        if not isinstance(value, list):
            self._complain(("pbx", 0, ""), "several PBXs are possible: write [[pbx]] with two brackets")
            return ()
        made = (self._section("pbx", number, one, Pbx) for number, one in enumerate(value))
        return tuple(one for one in made if one is not None)

    def _section(self, name: str, number: int, data: Any, kind: type) -> Any:
        """The section with what the file says in it; None where that is no section."""
        if not isinstance(data, dict):
            self._complain(("", 0, name), f"{name} is a section: write [{name}] on a line of its own", block=name)
            return None
        hints = get_type_hints(kind, include_extras=True)
        values = {}
        for key, raw in data.items():
            place = (name, number, key)
            if key not in hints:
                self._complain(place, _unknown("option", key, list(hints)))
                continue
            value, wrong = _fit(raw, hints[key])
            if wrong:
                self._complain(place, f"{key} = {_shown(kind, key, raw)}: {wrong}")
            else:
                values[key] = value
        return kind(**values)

    def _from_environ(self, settings: Settings) -> Settings:
        for variable, text in sorted(self._environ.items()):
            if not (variable.startswith("LINGXI_") and "__" in variable):
                continue
            section, *rest = variable.removeprefix("LINGXI_").lower().split("__")
            if section not in SECTIONS or not rest:
                self._problems.append(Problem(variable, _unknown("section", section, list(SECTIONS))))
            elif section == "pbx":
                settings = replace(settings, pbx=self._pbx_from_environ(settings.pbx, variable, rest, text))
            else:
                changed = self._set(getattr(settings, section), "__".join(rest), variable, text)
                settings = replace(settings, **{section: changed})
        return settings

    def _pbx_from_environ(self, have: tuple[Pbx, ...], variable: str, rest: list[str], text: str) -> tuple[Pbx, ...]:
        names = {pbx.name.lower().replace("-", "_"): pbx for pbx in have}
        if len(rest) != 2 or rest[0] not in names:
            say = _unknown("PBX", rest[0], list(names)) + "; write LINGXI_PBX__NAME__OPTION, the name as in [[pbx]]"
            self._problems.append(Problem(variable, say))
            return have
        changed = self._set(names[rest[0]], rest[1], variable, text)
        return tuple(changed if pbx is names[rest[0]] else pbx for pbx in have)

    def _set(self, section: Any, option: str, variable: str, text: str) -> Any:
        hints = get_type_hints(type(section), include_extras=True)
        if option not in hints:
            self._problems.append(Problem(variable, _unknown("option", option, list(hints))))
            return section
        value, wrong = _fit(_from_text(text, hints[option]), hints[option])
        if wrong:
            self._problems.append(Problem(variable, f"{_shown(type(section), option, text)}: {wrong}"))
            return section
        return replace(section, **{option: value})

    def _together(self, settings: Settings) -> None:
        """What only shows when several settings are seen together."""
        web = settings.web
        if bool(web.tls_cert) != bool(web.tls_key):
            self._complain(("web", 0, "tls_cert"), "tls_cert and tls_key go together: set both, or neither")
        for key in ("tls_cert", "tls_key"):
            if getattr(web, key) and not Path(getattr(web, key)).is_file():
                self._complain(("web", 0, key), f"there is no file {getattr(web, key)}; `lingxi tls` makes one")
        names = [pbx.name.lower().replace("-", "_") for pbx in settings.pbx]
        for number, name in enumerate(names):
            if name in names[:number]:
                self._complain(("pbx", number, "name"), f"two PBXs are called {name}; give each its own name")
        if set(settings.roles.active) != set(ROLES) and settings.bus.url == "memory":
            say = "a process that does not do everything needs others, and hears them only over Redis: set url under [bus]"
            self._complain(("roles", 0, "active"), say)

    def _complain(self, place: Place, say: str, block: str = "") -> None:
        line = self._lines.get((block, 0, "")) if block else None
        where = f"line {line or line_of(self._lines, *place)}"
        self._problems.append(Problem(f"{self._path}, {where}" if self._path else "settings", say))


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    cure = f"did you mean {near[0]}?" if near else f"known are: {', '.join(known) or 'none'}"
    return f"there is no {what} {name}; {cure}"


def _shown(kind: type, key: str, raw: Any) -> str:
    """A value for a complaint; what may hold a secret is not shown."""
    secret = any(one.name == key and not one.repr for one in fields(kind))
    return "(not shown)" if secret else repr(raw)


def _bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and its rules."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _fit(raw: Any, hint: Any) -> tuple[Any, str]:
    """The value as its type wants it, or what is wrong with it."""
    bare, rules = _bare(hint)
    value, wrong = _convert(raw, bare)
    for rule in () if wrong else rules:
        wrong = wrong or rule(value)
    return value, wrong


def _convert(raw: Any, bare: Any) -> tuple[Any, str]:
    if get_origin(bare) is tuple:
        fits = isinstance(raw, list) and all(isinstance(item, get_args(bare)[0]) for item in raw)
        return (tuple(raw), "") if fits else (raw, 'write a list of texts: ["…", "…"]')
    if bare is Path:
        return (Path(raw), "") if isinstance(raw, str) and raw else (raw, 'write a folder in quotes: "…"')
    if bare is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw), ""
    if bare is int and isinstance(raw, bool):
        return raw, "write a whole number without quotes"
    if isinstance(raw, bare):
        return raw, ""
    cure = {int: "a whole number without quotes", float: "a number without quotes", str: 'a text in quotes: "…"'}
    return raw, f"write {cure.get(bare, 'true or false')}"


def _from_text(text: str, hint: Any) -> Any:
    """What a variable's text says, read as the setting's type wants it; the text itself where it can't be."""
    bare, _ = _bare(hint)
    if get_origin(bare) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return bare(text) if bare in (int, float) else text
    except ValueError:
        return text


def _absolute(settings: Settings, folder: Path, environ: Mapping[str, str]) -> Settings:
    home = (folder / Path(environ.get("LINGXI_HOME") or settings.home.folder).expanduser()).resolve()
    url = settings.database.url or f"sqlite+aiosqlite:///{home / 'lingxi.sqlite3'}"
    certificate: dict[str, Any] = {
        key: str(folder / text) for key in ("tls_cert", "tls_key") if (text := getattr(settings.web, key))
    }
    return replace(
        settings,
        home=Home(folder=home),
        web=replace(settings.web, **certificate),
        database=Database(url=url),
        recordings=Recordings(folder=home / settings.recordings.folder.expanduser()),
    )


def check(file: Path | None = None, environ: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """What `lingxi settings check` says: whether the settings can be used, and the text to print."""
    try:
        settings = load(file, environ)
    except SettingsError as wrong:
        count = len(wrong.problems)
        return False, f"{wrong}\n{count} problem{'s' if count > 1 else ''}; nothing was started."
    source = f"The settings in {settings.file} are in order." if settings.file else "No settings file; the defaults are used."
    return True, "\n".join([source, f"Data folder: {settings.home.folder}", *advice(settings)])


def advice(settings: Settings) -> list[str]:
    """What is allowed and yet worth a word."""
    said = []
    open_to_all = settings.web.host not in ("127.0.0.1", "::1", "localhost")
    if open_to_all and not settings.web.tls_cert and not settings.web.public_url.startswith("https:"):
        said.append("Note: without HTTPS browsers on other machines give no microphone; run `lingxi tls`, or use a proxy.")
    if not settings.pbx:
        said.append("Note: no [[pbx]] is set; there will be no calls.")
    if len(settings.metrics.token) in range(1, 16):
        said.append("Note: the token under [metrics] is short; take 16 characters or more.")
    return said
