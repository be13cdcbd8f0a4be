"""The aiohttp application: every request passes through here to the handler that its route declares.

In this order: who asks (cookie or token), may they, did a browser of ours send it (CSRF), run it, say refusals in their language.
Security headers go on everything.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from crm_core.kernel.access import Scope, reach
from crm_core.kernel.errors import NotAllowed, NotSignedIn, Refusal
from crm_core.kernel.sentence import Sentence
from crm_core.kernel.words import pick, say
from crm_core.signin import SignIn
from crm_core.web.api import Problem, Route, Routes, answer, openapi
from crm_core.web.ask import TRUSTED, Ask, address_of
from crm_core.web.pages import Pages, serve_static

log = structlog.get_logger(__name__)
COOKIE = "lingxi"
FREE = frozenset({"/me", "/ws"})
"""Pages that somebody who must change the password first may open."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Observe = Callable[[str, str, int, float], None]


def make_app(
    routes: Routes,
    pages: Pages,
    sign_in: SignIn,
    *,
    version: str,
    trusted: tuple[Any, ...] = (),
    observe: Observe = lambda *_: None,
    open_routes: Callable[[web.Application], None] = lambda _: None,
) -> web.Application:
    """The application with every declared route, static files and the OpenAPI document."""
    app = web.Application(client_max_size=2 * 1024 * 1024, middlewares=[_harden])
    app[TRUSTED] = trusted
    document = openapi(routes, version)
    open_routes(app)
    for route in routes.all:
        app.router.add_route(route.method, route.path, _adapt(route, pages, sign_in, observe))

    async def static(request: web.Request) -> web.StreamResponse:
        return await serve_static(request, pages.statics)

    async def described(_request: web.Request) -> web.StreamResponse:
        return answer(document)

    app.router.add_get("/static/{name:.+}", static)
    app.router.add_get("/api/openapi.json", described)
    app.router.add_get("/{rest:.*}", _adapt(_NOWHERE, pages, sign_in, observe))
    return app


async def _nowhere(ask: Ask) -> None:
    raise web.HTTPNotFound


_NOWHERE = Route(method="GET", path="/{rest}", handle=_nowhere, summary="No such page", right=None, page=True)


def _adapt(route: Route, pages: Pages, sign_in: SignIn, observe: Observe) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        start, status = time.perf_counter(), 500
        lang = pick(request.headers.get("Accept-Language", ""), request.cookies.get("lingxi_lang", ""))
        ask: Ask | None = None
        response: web.StreamResponse | None = None
        try:
            ask = await understand(request, sign_in, lang)
            _allow(route, ask)
            if route.page and ask.visit is not None and ask.visit.must_change and route.path not in FREE:
                return web.Response(status=303, headers={"Location": "/me"})
            response = answer(await route.handle(ask))
        except Refusal as refusal:
            response = _refused(request, route, pages, ask, lang, refusal)
        except web.HTTPNotFound:
            response = _refused(request, route, pages, ask, lang, Refusal("no_such_page", "There is no such page."), 404)
        except web.HTTPException as problem:
            status = problem.status
            raise
        except Exception:
            log.exception("request failed", method=request.method, route=route.path)
            response = _refused(
                request,
                route,
                pages,
                ask,
                lang,
                Refusal("failed", "That did not work, and it is our fault. It has been written down."),
                500,
            )
        finally:
            observe(route.method, route.path, response.status if response else status, time.perf_counter() - start)
        return response

    return serve


async def understand(request: web.Request, sign_in: SignIn, lang: str) -> Ask:
    """Who asks. Raises NotSignedIn."""
    bearer = request.headers.get(hdrs.AUTHORIZATION, "")
    if bearer.startswith("Bearer "):
        return Ask(request, await sign_in.bearer(bearer[7:]), None, lang)
    token = request.cookies.get(COOKIE)
    if not token:
        raise NotSignedIn
    visit = await sign_in.visit(token)
    return Ask(request, visit.principal, visit, visit.lang or lang)


def _allow(route: Route, ask: Ask) -> None:
    if route.right is not None and reach(ask.principal, route.right[1], route.right[0]) is Scope.NONE:
        raise NotAllowed("not_allowed", "You may not do this.")
    if route.right is None and ask.visit is None and ask.request.method not in SAFE:
        raise NotAllowed("not_allowed", "You may not do this.")  # what needs no right but a person is not a program's to change
    if ask.visit is not None and ask.request.method not in SAFE:
        given = ask.request.headers.get("X-CSRF-Token", "")
        if not hmac.compare_digest(given.encode(errors="replace"), ask.visit.csrf.encode()):
            raise NotAllowed("csrf", "This page is too old. Load it again.")


def _refused(
    request: web.Request, route: Route, pages: Pages, ask: Ask | None, lang: str, refusal: Refusal, status: int | None = None
) -> web.StreamResponse:
    lang = ask.lang if ask else lang
    told = say(lang, refusal.say, **refusal.detail)
    status = status or refusal.status
    if not route.page:
        response = answer(Problem(error=refusal.code, say=told, detail={k: _plain(v, lang) for k, v in refusal.detail.items()}))
        response.set_status(status)
        return response
    if isinstance(refusal, NotSignedIn):
        fragment = request.headers.get("X-Fragment") == "main"
        if fragment:
            return web.Response(status=401, text=told)
        return web.Response(status=303, headers={"Location": f"/signin?next={quote(request.rel_url.raw_path_qs)}"})
    if ask is None:
        return pages.render_open(request, "error.html", lang, status=status, say=told, code=refusal.code, http=status)
    return pages.render(ask, "error.html", status=status, say=told, code=refusal.code, http=status)


def _plain(value: Any, lang: str) -> Any:
    """A detail as JSON has it, sentences said in the asker's language."""
    if isinstance(value, Sentence):
        return say(lang, value)
    if isinstance(value, dict):
        return {str(key): _plain(one, lang) for key, one in value.items()}
    return value if isinstance(value, int | float | bool | None) else str(value)


@web.middleware
async def _harden(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
    return response


def set_cookie(response: web.StreamResponse, name: str, value: str, *, secure: bool, max_age: int, http_only: bool = True) -> None:
    """A cookie of ours: same site only, not readable by scripts unless it must be."""
    response.set_cookie(name, value, max_age=max_age, httponly=http_only, secure=secure, samesite="Lax", path="/")


__all__ = ["COOKIE", "address_of", "make_app", "set_cookie", "understand"]
