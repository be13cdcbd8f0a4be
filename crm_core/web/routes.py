"""Pages and API of the CRM floor: signing in, the own looks, customers with their timeline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from crm_core.customers import LEVELS, PAGE, Customers
from crm_core.kernel.access import Principal, Scope, reach
from crm_core.kernel.clock import Clock
from crm_core.kernel.errors import Refusal
from crm_core.kernel.words import LANGUAGES, pick, say
from crm_core.ports import Sources, TimelineEntry
from crm_core.signin import SignIn
from crm_core.web.api import Routes
from crm_core.web.app import COOKIE, set_cookie
from crm_core.web.ask import Ask, address_of, is_secure, read_count, read_id
from crm_core.web.pages import Pages
from crm_core.web.socket import Sockets, same_origin

TIMELINE_PAGE = 20
SAFE_NEXT_MAX = 500


class CustomerNew(msgspec.Struct, forbid_unknown_fields=True):
    """A customer to be made. `call_id`: link this call to it."""

    name: str
    kind: str = "person"
    level: str = ""
    region: str = ""
    contact: str = ""
    company: str = ""
    numbers: list[str] = []
    call_id: str = ""


class CustomerChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is changed of a customer; `seen_at` is its `changed_at` as it was read."""

    name: str | None = None
    kind: str | None = None
    level: str | None = None
    region: str | None = None
    industry: str | None = None
    remark: str | None = None
    seen_at: float | None = None


class CustomerOut(msgspec.Struct):
    """A customer as the asker may see it."""

    id: str
    number: str
    name: str
    kind: str
    level: str
    region: str
    owner: str
    changed_at: float | None
    numbers: list[dict[str, str]]
    contacts: list[dict[str, str]]


class CustomerList(msgspec.Struct):
    """One page of customers; `more` says that `count` is only a lower bound."""

    count: int
    more: bool
    page: int
    customers: list[dict[str, Any]]


class Made(msgspec.Struct):
    """What was made."""

    id: str


class Looks(msgspec.Struct, forbid_unknown_fields=True):
    """The own looks; "" leaves one as it is."""

    lang: str = ""
    theme: str = ""
    density: str = ""


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True):
    """The own password, old and new."""

    old: str
    new: str


class WordsOut(msgspec.Struct):
    """What scripts say, by English message."""

    lang: str
    words: dict[str, str]


class CrmWeb:
    """The handlers of this floor."""

    def __init__(
        self, pages: Pages, sign_in: SignIn, customers: Customers, sources: Sources, clock: Clock, sockets: Sockets
    ) -> None:
        self._pages, self._sign_in, self._customers, self._sources, self._clock, self._sockets = (
            pages,
            sign_in,
            customers,
            sources,
            clock,
            sockets,
        )
        self.matters: Callable[[Ask, int], Awaitable[dict[str, Any]]] = _no_matters
        self.on_sign_out: Callable[[int], Awaitable[None]] = _nothing
        self.number_of_call: Callable[[Principal, int], Awaitable[str]] = _no_number
        self.after_create: Callable[[Principal, int, int], Awaitable[None]] = _no_call

    def add_to(self, routes: Routes) -> None:
        """Declare the routes."""
        see, create, edit = ("customer", "see"), ("customer", "create"), ("customer", "edit")
        routes.page("/ws", self._sockets.serve, right=None, summary="The socket of live feeds")
        routes.page("/home", self.home, right=None, summary="Where this person's work is")
        routes.page("/me", self.me, right=None, summary="Own looks and password")
        routes.page("/customers", self.list_page, right=see, summary="Customers")
        routes.page("/customers/new", self.new_page, right=create, summary="A new customer")
        routes.page("/customers/{id}", self.card_page, right=see, summary="A customer with the timeline")
        routes.page("/customers/{id}/edit", self.edit_page, right=edit, summary="Change a customer")
        routes.page("/customers/{id}/timeline", self.timeline_page, right=see, summary="A customer's timeline")
        routes.api("GET", "/customers", self.list_api, right=see, summary="List customers", gives=CustomerList)
        routes.api("POST", "/customers", self.create_api, right=create, summary="Make a customer", takes=CustomerNew, gives=Made)
        routes.api("GET", "/customers/{id}", self.card_api, right=see, summary="Read a customer", gives=CustomerOut)
        routes.api("PUT", "/customers/{id}", self.change_api, right=edit, summary="Change a customer", takes=CustomerChange)
        routes.api("PUT", "/me/looks", self.looks_api, right=None, summary="Set the own language, theme, density", takes=Looks)
        routes.api("PUT", "/me/password", self.password_api, right=None, summary="Change the own password", takes=PasswordChange)
        routes.api("GET", "/words", self.words_api, right=None, summary="What scripts say in the own language", gives=WordsOut)

    def add_open(self, app: web.Application) -> None:
        """The routes that need nobody to be signed in."""
        app.router.add_get("/signin", self.sign_in_page)
        app.router.add_post("/signin", self.sign_in_post)
        app.router.add_post("/signout", self.sign_out_post)

    # ------------------------------------------------------------------------------------------------------------- sign in

    async def sign_in_page(self, request: web.Request) -> web.StreamResponse:
        """The form; a person who is signed in goes on."""
        wanted = request.query.get("lang", "")
        lang = pick(request.headers.get("Accept-Language", ""), wanted or request.cookies.get("lingxi_lang", ""))
        response = self._form(request, lang)
        if wanted in LANGUAGES:
            set_cookie(response, "lingxi_lang", wanted, secure=is_secure(request), max_age=31536000)
        return response

    def _form(self, request: web.Request, lang: str, error: str = "", login: str = "", status: int = 200) -> web.Response:
        target = request.query.get("next", "/home")
        return self._pages.render_open(
            request, "signin.html", lang, status=status, error=error, login=login, next=_safe_next(target)
        )

    async def sign_in_post(self, request: web.Request) -> web.StreamResponse:
        """Check the password; a form from elsewhere is refused by its Origin."""
        lang = pick(request.headers.get("Accept-Language", ""), request.cookies.get("lingxi_lang", ""))
        if "Origin" in request.headers and not same_origin(request, self._sockets.origins):
            return web.Response(status=403, text=say(lang, "This page is too old. Load it again."))
        try:
            form = await request.post()
        except (ValueError, LookupError):
            return self._form(request, lang, say(lang, "User name or password is wrong."), "", 400)
        login, password = str(form.get("login", ""))[:60], str(form.get("password", ""))[:1024]
        try:
            token = await self._sign_in.sign_in(
                login, password, address=address_of(request), agent=request.headers.get("User-Agent", "")
            )
        except Refusal as refusal:
            return self._form(request, lang, say(lang, refusal.say, **refusal.detail), login, 403)
        response = web.Response(status=303, headers={"Location": _safe_next(str(form.get("next", "/home")))})
        set_cookie(response, COOKIE, token, secure=is_secure(request), max_age=7 * 86400)
        return response

    async def sign_out_post(self, request: web.Request) -> web.StreamResponse:
        """End the session."""
        token = request.cookies.get(COOKIE, "")
        if token and ("Origin" not in request.headers or same_origin(request, self._sockets.origins)):
            user_id = await self._sign_in.sign_out(token)
            self._sockets.end_session(token)
            if user_id is not None:
                await self.on_sign_out(user_id)
        response = web.Response(status=303, headers={"Location": "/signin"})
        response.del_cookie(COOKIE, path="/")
        return response

    async def home(self, ask: Ask) -> web.Response:
        """Where this person's work is: the first page of the navigation that is theirs by their role."""
        floor = reach(ask.principal, "see", "floor") > Scope.NONE
        return web.Response(status=303, headers={"Location": "/floor" if floor else "/"})

    # ------------------------------------------------------------------------------------------------------------------ me

    async def me(self, ask: Ask) -> web.Response:
        """Own looks and password."""
        return self._pages.render(ask, "me.html", must_change=ask.visit.must_change if ask.visit else False)

    async def looks_api(self, ask: Ask) -> None:
        """Keep language, theme, density."""
        looks = await ask.body(Looks)
        allowed = {"lang": LANGUAGES, "theme": ("light", "dark", "system"), "density": ("compact", "standard", "roomy")}
        given = {name: getattr(looks, name) for name in allowed if getattr(looks, name)}
        for name, value in given.items():
            if value not in allowed[name]:
                raise Refusal("wrong_looks", "There is no {name} {value}.", name=name, value=value[:20])
        if given:
            await self._sign_in.set_looks(ask.principal.user_id, **given)

    async def password_api(self, ask: Ask) -> None:
        """Change the own password."""
        change = await ask.body(PasswordChange)
        here = ask.visit.session_id if ask.visit is not None else 0
        await self._sign_in.set_password(ask.principal.user_id, change.old, change.new, here)

    async def words_api(self, ask: Ask) -> WordsOut:
        """What scripts say, in the own language."""
        return WordsOut(lang=ask.lang, words=self._pages.words(ask.lang))

    # ----------------------------------------------------------------------------------------------------------- customers

    async def list_page(self, ask: Ask) -> web.Response:
        """The list."""
        words, level, sort, page = self._list_query(ask)
        found = await self._customers.page(ask.principal, words, level, sort, page)
        pages = max((found.count + PAGE - 1) // PAGE, 1)
        return self._pages.render(
            ask, "customers_list.html", rows=found.rows, count=found.count, more=found.more, page_no=page, pages=pages, page_size=PAGE, q=words, level=level,
            sort=sort, levels=LEVELS[1:],
        )  # fmt: skip

    def _list_query(self, ask: Ask) -> tuple[str, str, str, int]:
        return ask.query("q").strip(), ask.query("level"), ask.query("sort", "-last"), read_count(ask.query("page", "1"))

    async def list_api(self, ask: Ask) -> CustomerList:
        """The list for programs."""
        found = await self._customers.page(ask.principal, *self._list_query(ask))
        rows = [
            {
                "id": str(r["id"]),
                "number": r["number"],
                "name": r["name"],
                "kind": r["kind"],
                "level": r["level"],
                "region": r["region"],
                "phone": r["shown"],
            }
            for r in found.rows
        ]
        return CustomerList(count=found.count, more=found.more, page=found.page, customers=rows)

    async def card_page(self, ask: Ask) -> web.Response:
        """A customer with contacts, numbers and timeline."""
        customer_id = ask.number("id")
        card = await self._customers.card(ask.principal, customer_id)
        entries, older = await self._timeline(ask, customer_id, None)
        matters = await self.matters(ask, customer_id)
        return self._pages.render(ask, "customer.html", card=card, customer=card.row, entries=entries, older=older, **matters)

    async def timeline_page(self, ask: Ask) -> web.Response:
        """The timeline alone: for the desk, and for older entries."""
        customer_id = ask.number("id")
        await self._customers.exists(ask.principal, customer_id)
        before = ask.query("before")
        at = float(before) if before.isascii() and before.replace(".", "", 1).isdigit() else None
        entries, older = await self._timeline(ask, customer_id, at)
        return self._pages.render(ask, "timeline.html", entries=entries, older=older, customer_id=str(customer_id))

    async def _timeline(self, ask: Ask, customer_id: int, before: float | None) -> tuple[list[TimelineEntry], float | None]:
        found: list[TimelineEntry] = []
        for source in self._sources.timeline:
            found += await source.entries(ask.principal, customer_id, before, TIMELINE_PAGE + 1)
        found.sort(key=lambda e: e.at, reverse=True)
        older = found[TIMELINE_PAGE - 1].at if len(found) > TIMELINE_PAGE else None
        return found[:TIMELINE_PAGE], older

    async def card_api(self, ask: Ask) -> CustomerOut:
        """A customer for programs."""
        card = await self._customers.card(ask.principal, ask.number("id"))
        row = card.row
        return CustomerOut(
            id=str(row["id"]), number=row["number"], name=row["name"], kind=row["kind"], level=row["level"], region=row["region"], owner=card.owner,
            changed_at=row["changed_at"], numbers=[{"id": str(p.id), "number": p.shown, "kind": p.kind, "contact": p.contact} for p in card.points],
            contacts=[{"id": str(c["id"]), "name": c["name"], "title": c["title"]} for c in card.contacts],
        )  # fmt: skip

    async def new_page(self, ask: Ask) -> web.Response:
        """An empty form."""
        return self._pages.render(ask, "customer_form.html", customer=None, levels=LEVELS[1:])

    async def edit_page(self, ask: Ask) -> web.Response:
        """A filled form."""
        card = await self._customers.card(ask.principal, ask.number("id"))
        return self._pages.render(ask, "customer_form.html", customer=card.row, levels=LEVELS[1:])

    async def create_api(self, ask: Ask) -> Made:
        """Make a customer."""
        new = await ask.body(CustomerNew)
        name = new.company or new.name
        numbers = [number for number in new.numbers if "*" not in number]
        call_id = read_id(new.call_id, "call_id") if new.call_id else None
        if call_id is not None:
            called = await self.number_of_call(ask.principal, call_id)  # refuses a call that is not theirs, before anything is made
            numbers = numbers or [key for key in (called,) if key]
        customer_id = await self._customers.create(
            ask.principal, name=name, kind="company" if new.company else new.kind, level=new.level, region=new.region,
            contact=new.contact or (new.name if new.company else ""), numbers=numbers,
        )  # fmt: skip
        if call_id is not None:
            await self.after_create(ask.principal, customer_id, call_id)
        return Made(id=str(customer_id))

    async def change_api(self, ask: Ask) -> None:
        """Change a customer."""
        change = await ask.body(CustomerChange)
        values = {n: v for n in ("name", "kind", "level", "region", "industry", "remark") if (v := getattr(change, n)) is not None}
        await self._customers.change(ask.principal, ask.number("id"), change.seen_at, **values)


async def _no_matters(_ask: Ask, _customer_id: int) -> dict[str, Any]:
    return {"matters": [], "makes": set(), "cells": None}


async def _nothing(_user_id: int) -> None:
    return None


async def _no_number(_principal: Principal, _call_id: int) -> str:
    return ""


async def _no_call(_principal: Principal, _customer_id: int, _call_id: int) -> None:
    return None


def _safe_next(target: str) -> str:
    """Where to go after signing in: a path of ours, nothing else."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and len(target) < SAFE_NEXT_MAX and target.isprintable()
    return target if plain and not target.startswith("/signin") else "/home"
