"""The registry of routes: each is declared once, with what it takes, gives and needs; the router, the OpenAPI document and the
rights test all read it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from crm_core.web.ask import Ask

Handler = Callable[[Ask], Awaitable[Any]]
REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. `right` is (kind, action) that the asker must hold in some scope, None where signing in is enough."""

    method: str
    path: str
    handle: Handler
    summary: str
    right: tuple[str, str] | None
    takes: type | None = None
    gives: type | None = None
    page: bool = False


class Routes:
    """All routes of the product, in order of declaration."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def page(self, path: str, handle: Handler, *, right: tuple[str, str] | None, summary: str) -> None:
        """A page for people."""
        self.all.append(Route(method="GET", path=path, handle=handle, summary=summary, right=right, page=True))

    def api(
        self, method: str, path: str, handle: Handler, *, right: tuple[str, str] | None, summary: str, takes: type | None = None, gives: type | None = None
    ) -> None:  # fmt: skip
        """A route for programs, below /api/v1, that takes and gives JSON."""
        self.all.append(
            Route(method=method, path=f"/api/v1{path}", handle=handle, summary=summary, right=right, takes=takes, gives=gives)
        )


class Problem(msgspec.Struct):
    """Why a request was refused: `error` for programs, `say` for people."""

    error: str
    say: str
    detail: dict[str, Any] = {}


def openapi(routes: Routes, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all API routes."""
    shapes = [Problem] + [s for r in routes.all for s in (r.takes, r.gives) if s is not None]
    _, components = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes.all:
        if not route.page:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lingxi", "version": version, "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"}},
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "lingxi"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    problem = {"description": "Refused", "content": {"application/json": {"schema": {"$ref": REF.format(name="Problem")}}}}
    answers: dict[str, Any] = {"4XX": problem, "503": problem}
    if route.gives is None:
        answers["204"] = {"description": "Done"}
    else:
        schema = {"$ref": REF.format(name=route.gives.__name__)}
        answers["200"] = {"description": "The answer", "content": {"application/json": {"schema": schema}}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}_{route.path.strip('/').replace('/', '_').replace('{', '').replace('}', '').replace('-', '_')}",
        "responses": answers,
    }
    if route.right is not None:
        operation["x-right"] = ":".join(route.right)
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    if names:
        operation["parameters"] = [
            {"name": n, "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"}} for n in names
        ]
    if route.takes is not None:
        schema = {"$ref": REF.format(name=route.takes.__name__)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def answer(value: Any) -> web.StreamResponse:
    """What a handler gives, as a response: a response as it is, None as 204, anything else as JSON."""
    if isinstance(value, web.StreamResponse):
        return value
    if value is None:
        return web.Response(status=204)
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
