"""Pages: templates of all packages, static files under hashed names, and what every template may use."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crm_core.kernel.access import Principal, Scope, reach
from crm_core.kernel.words import chinese, say, say_many
from crm_core.web.ask import Ask, is_secure

CSP = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self' {socket}; media-src 'self' blob:; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
YEAR = 31536000


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the navigation, shown to those who hold the right, or one of those in `also`."""

    id: str
    href: str
    label: str
    icon: str
    right: tuple[str, str]
    also: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Statics:
    """Static folders by URL prefix; a file's URL carries a hash of its content, so it may be kept for ever."""

    folders: dict[str, Path] = field(default_factory=dict)
    _hashes: dict[str, str] = field(default_factory=dict)

    def url(self, name: str) -> str:
        """The hashed URL of `/static/<name>`."""
        if name not in self._hashes:
            path = self.path(name)
            if path is None:
                raise FileNotFoundError(f"no static file {name!r}")
            self._hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
        return f"/static/{name}?v={self._hashes[name]}"

    def modules(self) -> dict[str, str]:
        """Every script of ours, plain URL → hashed URL: through the import map each module exists once, however it is imported."""
        found: dict[str, str] = {}
        for prefix, folder in sorted(self.folders.items()):
            for file in sorted(folder.rglob("*.js")):
                name = file.relative_to(folder).as_posix()
                if not name.startswith("vendor/"):
                    full = f"{prefix}/{name}" if prefix else name
                    found[f"/static/{full}"] = self.url(full)
        return found

    def path(self, name: str) -> Path | None:
        """The file behind a name, if it exists and lies in its folder."""
        prefix, _, rest = name.partition("/")
        folder, inner = (self.folders[prefix], rest) if prefix in self.folders else (self.folders[""], name)
        try:
            path = (folder / inner).resolve()
            return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
        except (ValueError, OSError):  # a name that no file can have
            return None


class Pages:
    """Renders pages."""

    def __init__(
        self, folders: Sequence[Path], statics: Statics, *, zone: Callable[[Principal], str], clock: Callable[[], float], demo: bool
    ) -> None:
        self.statics = statics
        self.nav: list[NavItem] = []
        self.banner = ""
        self.shell: Callable[[Ask], tuple[dict[str, Any], dict[str, Any]]] = lambda _: ({}, {})
        self.script_words: frozenset[str] = frozenset()
        self._zone = zone
        self._clock = clock
        self._demo = demo
        self._env = Environment(
            loader=ChoiceLoader([FileSystemLoader(f) for f in folders]), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )  # fmt: skip
        self._env.filters.update(duration=duration, number=lambda v: "–" if v is None else f"{v:,}", percent=percent)
        self._env.policies["json.dumps_function"] = lambda value, **_: dumps(value)

    def render(self, ask: Ask, name: str, /, *, status: int = 200, **values: Any) -> web.Response:
        """A page for a signed-in person; only its `<main>` when the shell asked for a fragment."""
        visit = ask.visit
        boot, feeds = self.shell(ask)
        values["boot"] = {"now": round(self._clock() * 1000), "lang": ask.lang, **boot}
        values["feeds"] = {**feeds, **values.get("feeds", {})}
        return self._respond(
            ask.request, name, ask.lang, visit.theme if visit else "", visit.density if visit else "", status,
            me=self._me(ask.principal), csrf=visit.csrf if visit else "", nav=self._nav(ask), zone=self._zone(ask.principal), **values,
        )  # fmt: skip

    def render_open(self, request: web.Request, name: str, lang: str, /, *, status: int = 200, **values: Any) -> web.Response:
        """A page for somebody who is not signed in."""
        return self._respond(
            request, name, lang, request.cookies.get("lingxi_theme", ""), "", status, me=None, csrf="", nav=[], zone="UTC", **values
        )

    def _respond(
        self, request: web.Request, name: str, lang: str, theme: str, density: str, status: int, *, zone: str, **values: Any
    ) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        fragment = request.headers.get("X-Fragment") == "main"
        context: dict[str, Any] = {
            "_": lambda message, **kw: say(lang, message, **kw),
            "ngettext": lambda one, many, n, **kw: say_many(lang, one, many, n, **kw),
            "lang": lang, "theme": theme or "system", "density": density or "standard", "nonce": nonce, "fragment": fragment,
            "static": self.statics.url, "page": name.removesuffix(".html"), "demo": self._demo, "path": request.path_qs,
            "import_map": Markup(self._import_map()),  # noqa: S704 - made by dumps, safe inside a script element
            "words_json": Markup(dumps(self.words(lang))),  # noqa: S704 - likewise
            "feeds": {},
            "banner": self.banner,
            "boot": {"now": round(self._clock() * 1000), "lang": lang}, "now": self._clock(),
            "when": lambda at: when(at, zone, self._clock()), "full_time": lambda at: full_time(at, zone), "zone": zone,
        }  # fmt: skip
        context.update(values)
        html = self._env.get_template(name).render(context)
        response = web.Response(text=html, content_type="text/html", status=status)
        scheme = "wss" if is_secure(request) else "ws"
        response.headers["Content-Security-Policy"] = CSP.format(nonce=nonce, socket=f"{scheme}://{request.host}")
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "X-Fragment, Cookie"
        return response

    def _me(self, principal: Principal) -> dict[str, Any]:
        rights = (f"{kind}:{action}" for kind, action in principal.grants if reach(principal, action, kind) > Scope.NONE)
        return {
            "id": str(principal.user_id), "name": principal.name, "login": principal.login, "role": principal.role,
            "may": {item.id for item in self.nav if _holds(principal, item)} | set(rights),
        }  # fmt: skip

    def _nav(self, ask: Ask) -> list[dict[str, Any]]:
        return self.nav_of(ask.principal, ask.lang)

    def nav_of(self, principal: Principal, lang: str) -> list[dict[str, Any]]:
        """The navigation that a person has."""
        return [
            {"id": item.id, "href": item.href, "label": say(lang, item.label), "icon": item.icon}
            for item in self.nav
            if _holds(principal, item)
        ]

    def words(self, lang: str) -> dict[str, str]:
        """What scripts say in a language other than English, by message."""
        return {m: chinese()[m] for m in sorted(self.script_words) if m in chinese()} if lang == "zh" else {}

    def _import_map(self) -> str:
        path = self.statics.path("vendor/import-map.json")
        vendor = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])["imports"] if path else {}
        return dumps({"imports": {**self.statics.modules(), **vendor}})


def _holds(principal: Principal, item: NavItem) -> bool:
    return any(reach(principal, action, kind) > Scope.NONE for kind, action in (item.right, *item.also))


def _script_safe(text: str) -> str:
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def dumps(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return _script_safe(msgspec.json.encode(value).decode())


def duration(seconds: float | None) -> str:
    """2:58, 1:02:10; – where it is not known."""
    if seconds is None:
        return "–"
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def percent(share: float | None) -> str:
    """81.9 %; – where there is no data."""
    return "–" if share is None else f"{share * 100:.1f} %"


def when(at: float | None, zone: str, now: float) -> str:
    """10:42 today, 11-18 10:42 this year, 2024-11-18 before."""
    if at is None:
        return "–"
    tz = ZoneInfo(zone)
    then, today = datetime.fromtimestamp(at, tz), datetime.fromtimestamp(now, tz)
    if then.date() == today.date():
        return then.strftime("%H:%M")
    return then.strftime("%m-%d %H:%M") if then.year == today.year else then.strftime("%Y-%m-%d")


def full_time(at: float | None, zone: str) -> str:
    """The whole instant with its zone, for tooltips."""
    if at is None:
        return "–"
    then = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone))
    hours, rest = divmod(int((then.utcoffset() or timedelta()).total_seconds()) // 60, 60)
    return f"{then:%Y-%m-%d %H:%M:%S} UTC{hours:+d}{f':{rest:02}' if rest else ''}"


async def serve_static(request: web.Request, statics: Statics) -> web.StreamResponse:
    """A static file. Under its hashed URL, or a name that holds a hash, it may be kept for ever."""
    name = request.match_info["name"]
    path = statics.path(name)
    if path is None:
        raise web.HTTPNotFound
    fresh = name.startswith("vendor/") or request.query_string == statics.url(name).partition("?")[2]
    headers = {"Cache-Control": f"public, max-age={YEAR}, immutable" if fresh else "no-cache", "X-Content-Type-Options": "nosniff"}
    return web.FileResponse(path, headers=headers)


def import_words(sources: Mapping[str, str]) -> frozenset[str]:
    """Every message identifier that scripts ask for with t("…")."""
    import re

    found: set[str] = set()
    for text in sources.values():
        for match in re.finditer(r"""\bt\(\s*("(?:[^"\\]|\\.)*")""", text):
            found.add(json.loads(match[1]))
    return frozenset(found)
