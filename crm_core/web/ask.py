"""One request, understood: who asks, in which language, with which body. Handlers get an `Ask` and need nothing else of the web."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from crm_core.kernel.access import Principal, Scope, Thing, may, reach
from crm_core.kernel.errors import NotAllowed, Refusal
from crm_core.kernel.ids import parse_id
from crm_core.kernel.words import say
from crm_core.signin import Visit

T = TypeVar("T")


@dataclass(slots=True)
class Ask:
    """A request of a signed-in person or program. `visit` is None for a program with a token."""

    request: web.Request
    principal: Principal
    visit: Visit | None
    lang: str

    def say(self, message: str, /, **values: Any) -> str:
        """A message in the asker's language."""
        return say(self.lang, message, **values)

    def number(self, name: str) -> int:
        """An identifier in the path. Raises Refusal."""
        return read_id(self.request.match_info[name], name)

    def query(self, name: str, default: str = "") -> str:
        """A text of the query string, without control characters, at most 200 long."""
        text = self.request.query.get(name, default)
        return "".join(ch for ch in text if ch.isprintable())[:200]

    async def body(self, shape: type[T]) -> T:
        """The JSON body as a msgspec Struct. Raises Refusal that names the field."""
        try:
            return msgspec.json.decode(await self.request.read(), type=shape)
        except msgspec.ValidationError as error:
            raise Refusal("wrong_body", "The request is not as expected: {why}", why=str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refusal("wrong_body", "The request is not valid JSON.") from error

    def must(self, action: str, kind: str) -> Scope:
        """The scope of a right; raises NotAllowed where there is none."""
        scope = reach(self.principal, action, kind)
        if scope is Scope.NONE:
            raise NotAllowed("not_allowed", "You may not do this.")
        return scope

    def must_for(self, action: str, thing: Thing) -> None:
        """Raises NotAllowed unless the person may do it to this thing."""
        if not may(self.principal, action, thing):
            raise NotAllowed("not_allowed", "You may not do this.")

    @property
    def address(self) -> str:
        """Where the request comes from, through trusted proxies only."""
        return address_of(self.request)


def read_count(text: str, limit: int = 100_000) -> int:
    """The number of a page, from outside: 1 where it is none."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1
    return number if 0 < number < limit else 1


def read_id(text: str, name: str = "id") -> int:
    """An identifier from outside. Raises Refusal."""
    try:
        return parse_id(text)
    except ValueError as error:
        raise Refusal("wrong_id", "{name} is not an identifier.", name=name) from error


TRUSTED = web.AppKey("trusted_proxies", tuple)


def address_of(request: web.Request) -> str:
    """The client's address: the peer, or what a trusted proxy says of it (the last entry of X-Forwarded-For, which it added)."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    named = forwarded.rsplit(",", 1)[-1].strip() if forwarded and _by_proxy(request) else request.remote or ""
    return named[:64]


def is_secure(request: web.Request) -> bool:
    """Whether the browser speaks HTTPS, to us or to a trusted proxy."""
    return request.secure or (_by_proxy(request) and request.headers.get("X-Forwarded-Proto") == "https")


def _by_proxy(request: web.Request) -> bool:
    try:
        peer = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return False
    return any(peer in network for network in request.config_dict[TRUSTED])
