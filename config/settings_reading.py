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
from config.tongue import tongue
from crm_core.kernel.sentence import Sentence
from crm_core.kernel.words import say, say_many


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
            raise SettingsError([Problem(str(path), Sentence("there is no such file; write it, or unset LINGXI_SETTINGS"))])
        return _Reading(None, "", environ).settings(folder)
    try:
        return _Reading(path, path.read_text(encoding="utf-8"), environ).settings(folder)
    except (OSError, UnicodeDecodeError) as failure:
        wrong = Sentence("it can't be read ({why}); it must be a UTF-8 text file", why=failure)
        raise SettingsError([Problem(str(path), wrong)]) from None


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
                self._complain(("", 0, name), _no_section(name), block=name)
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
            line = int(found[1]) if found else len(self._text.splitlines())
            wrong = Sentence("this is not TOML ({why}); text needs quotes, lists need brackets", why=failure)
            raise SettingsError([Problem(str(self._path), wrong, line)]) from None

    def _pbxs(self, value: Any) -> tuple[Pbx, ...]:
        if not isinstance(value, list):
            self._complain(("pbx", 0, ""), Sentence("several PBXs are possible: write [[pbx]] with two brackets"))
            return ()
        made = (self._section("pbx", number, one, Pbx) for number, one in enumerate(value))
        return tuple(one for one in made if one is not None)

    def _section(self, name: str, number: int, data: Any, kind: type) -> Any:
        """The section with what the file says in it; None where that is no section."""
        if not isinstance(data, dict):
            self._complain(
                ("", 0, name), Sentence("{name} is a section: write [{name}] on a line of its own", name=name), block=name
            )
            return None
        hints = get_type_hints(kind, include_extras=True)
        values = {}
        for key, raw in data.items():
            place = (name, number, key)
            if key not in hints:
                self._complain(place, _no_option(key, list(hints)))
                continue
            value, wrong = _fit(raw, hints[key])
            if wrong:
                self._complain(place, Sentence("{option} = {value}: {what}", option=key, value=_shown(kind, key, raw), what=wrong))
            else:
                values[key] = value
        return kind(**values)

    def _from_environ(self, settings: Settings) -> Settings:
        for variable, text in sorted(self._environ.items()):
            if not (variable.startswith("LINGXI_") and "__" in variable):
                continue
            section, *rest = variable.removeprefix("LINGXI_").lower().split("__")
            if section not in SECTIONS or not rest:
                self._problems.append(Problem(variable, _no_section(section)))
            elif section == "pbx":
                settings = replace(settings, pbx=self._pbx_from_environ(settings.pbx, variable, rest, text))
            else:
                changed = self._set(getattr(settings, section), "__".join(rest), variable, text)
                settings = replace(settings, **{section: changed})
        return settings

    def _pbx_from_environ(self, have: tuple[Pbx, ...], variable: str, rest: list[str], text: str) -> tuple[Pbx, ...]:
        names = {pbx.name.lower().replace("-", "_"): pbx for pbx in have}
        if len(rest) != 2 or rest[0] not in names:
            self._problems.append(Problem(variable, _no_pbx(rest[0], list(names))))
            return have
        changed = self._set(names[rest[0]], rest[1], variable, text)
        return tuple(changed if pbx is names[rest[0]] else pbx for pbx in have)

    def _set(self, section: Any, option: str, variable: str, text: str) -> Any:
        hints = get_type_hints(type(section), include_extras=True)
        if option not in hints:
            self._problems.append(Problem(variable, _no_option(option, list(hints))))
            return section
        value, wrong = _fit(_from_text(text, hints[option]), hints[option])
        if wrong:
            value = _shown(type(section), option, text)
            self._problems.append(Problem(variable, Sentence("{value}: {what}", value=value, what=wrong)))
            return section
        return replace(section, **{option: value})

    def _together(self, settings: Settings) -> None:
        """What only shows when several settings are seen together."""
        web = settings.web
        if bool(web.tls_cert) != bool(web.tls_key):
            self._complain(("web", 0, "tls_cert"), Sentence("tls_cert and tls_key go together: set both, or neither"))
        for key in ("tls_cert", "tls_key"):
            if getattr(web, key) and not Path(getattr(web, key)).is_file():
                self._complain(("web", 0, key), Sentence("there is no file {file}; `lingxi tls` makes one", file=getattr(web, key)))
        names = [pbx.name.lower().replace("-", "_") for pbx in settings.pbx]
        for number, name in enumerate(names):
            if name in names[:number]:
                self._complain(("pbx", number, "name"), Sentence("two PBXs are called {name}; give each its own name", name=name))
        if set(settings.roles.active) != set(ROLES) and settings.bus.url == "memory":
            wrong = Sentence(
                "a process that does not do everything needs others, and hears them only over Redis: set url under [bus]"
            )
            self._complain(("roles", 0, "active"), wrong)

    def _complain(self, place: Place, what: Sentence, block: str = "") -> None:
        line = (self._lines.get((block, 0, "")) if block else None) or line_of(self._lines, *place)
        problem = Problem(str(self._path), what, line) if self._path else Problem(Sentence("settings"), what)
        self._problems.append(problem)


def _no_section(name: str) -> Sentence:
    return Sentence("there is no section {name}; {cure}", name=name, cure=_nearest(name, list(SECTIONS)))


def _no_option(name: str, known: list[str]) -> Sentence:
    return Sentence("there is no option {name}; {cure}", name=name, cure=_nearest(name, known))


def _no_pbx(name: str, known: list[str]) -> Sentence:
    return Sentence(
        "there is no PBX {name}; {cure}; write LINGXI_PBX__NAME__OPTION, the name as in [[pbx]]",
        name=name,
        cure=_nearest(name, known),
    )


def _nearest(name: str, known: list[str]) -> Sentence:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return Sentence("did you mean {name}?", name=near[0])
    return Sentence("known are: {names}", names=", ".join(known)) if known else Sentence("none is known")


def _shown(kind: type, key: str, raw: Any) -> str | Sentence:
    """A value for a complaint; what may hold a secret is not shown."""
    secret = any(one.name == key and not one.repr for one in fields(kind))
    return Sentence("(not shown)") if secret else repr(raw)


def _bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and its rules."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _fit(raw: Any, hint: Any) -> tuple[Any, Sentence | None]:
    """The value as its type wants it, or what is wrong with it."""
    bare, rules = _bare(hint)
    value, wrong = _convert(raw, bare)
    for rule in () if wrong else rules:
        wrong = wrong or rule(value)
    return value, wrong


_FORMS = {
    int: Sentence("write a whole number without quotes"),
    float: Sentence("write a number without quotes"),
    str: Sentence('write a text in quotes: "…"'),
}


def _convert(raw: Any, bare: Any) -> tuple[Any, Sentence | None]:
    if get_origin(bare) is tuple:
        fits = isinstance(raw, list) and all(isinstance(item, get_args(bare)[0]) for item in raw)
        return (tuple(raw), None) if fits else (raw, Sentence('write a list of texts: ["…", "…"]'))
    if bare is Path:
        return (Path(raw), None) if isinstance(raw, str) and raw else (raw, Sentence('write a folder in quotes: "…"'))
    if bare is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw), None
    if isinstance(raw, bare) and not (bare is int and isinstance(raw, bool)):
        return raw, None
    return raw, _FORMS.get(bare) or Sentence("write true or false")


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
    """What `lingxi settings check` says: whether the settings can be used, and the text to print in the language of the terminal."""
    lang = tongue(os.environ if environ is None else environ)
    try:
        settings = load(file, environ)
    except SettingsError as wrong:
        lines = [say(lang, problem.sentence) for problem in wrong.problems]
        count = say_many(lang, "{n} problem; nothing was started.", "{n} problems; nothing was started.", len(lines))
        return False, "\n".join([*lines, count])
    source = Sentence("No settings file; the defaults are used.")
    if settings.file:
        source = Sentence("The settings in {file} are in order.", file=settings.file)
    said = [source, Sentence("Data folder: {folder}", folder=settings.home.folder), *advice(settings)]
    return True, "\n".join(say(lang, one) for one in said)


def advice(settings: Settings) -> list[Sentence]:
    """What is allowed and yet worth a word."""
    said = []
    open_to_all = settings.web.host not in ("127.0.0.1", "::1", "localhost")
    if open_to_all and not settings.web.tls_cert and not settings.web.public_url.startswith("https:"):
        said.append(
            Sentence("Note: without HTTPS browsers on other machines give no microphone; run `lingxi tls`, or use a proxy.")
        )
    if not settings.pbx:
        said.append(Sentence("Note: no [[pbx]] is set; there will be no calls."))
    if len(settings.metrics.token) in range(1, 16):
        said.append(Sentence("Note: the token under [metrics] is short; take 16 characters or more."))
    return said
