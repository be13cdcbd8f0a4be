"""Is it well? `/healthz` (the process answers), `/readyz` (it can work), `/metrics` (figures for Prometheus, not open to the world)."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import text

from crm_core.kernel.db import Database
from crm_core.web.ask import address_of
from crm_core.web.socket import Sockets
from cti.services.books import Books
from cti.services.lines import PbxLine

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Health:
    """The checks and the counters."""

    def __init__(self, database: Database, books: Books, lines: Callable[[], Iterable[PbxLine]], sockets: Sockets) -> None:
        self._db, self._books, self._lines, self._sockets = database, books, lines, sockets
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "lingxi_requests", "Requests by route and status", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "lingxi_request_seconds", "How long requests took", buckets=(0.005, 0.02, 0.05, 0.1, 0.3, 1, 3), registry=self.registry
        )
        Gauge("lingxi_sockets", "Open sockets of screens", registry=self.registry).set_function(lambda: len(self._sockets.open))
        Gauge("lingxi_books_waiting", "Writes not yet committed", registry=self.registry).set_function(lambda: self._books.waiting)
        self._up = Gauge("lingxi_pbx_up", "Whether the control link to a PBX is up", ["pbx"], registry=self.registry)
        self._lag = Gauge("lingxi_pbx_lag_seconds", "How late the last event of a PBX was", ["pbx"], registry=self.registry)
        self._healed = Gauge("lingxi_pbx_healed", "How often the board had to be brought in line", ["pbx"], registry=self.registry)
        self._calls = Gauge("lingxi_calls", "Calls alive by PBX", ["pbx"], registry=self.registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.observe(seconds)

    async def alive(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """Database and PBXs can be reached."""
        checks = {f"pbx {line.name}": "ok" if line.up else line.why or "not connected" for line in self._lines()}
        try:
            async with self._db.read() as db:
                await db.execute(text("select 1"))
            checks["database"] = "ok"
        except Exception as error:
            checks["database"] = type(error).__name__
        well = all(value == "ok" for value in checks.values())
        return web.json_response({"status": "ok" if well else "not ready", "checks": checks}, status=200 if well else 503)

    def metrics_for(self, networks: tuple[Network, ...], token: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The handler of /metrics, for these networks and for whoever has the token."""

        async def metrics(request: web.Request) -> web.Response:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not (_within(address_of(request), networks) or (token and hmac.compare_digest(given.encode(), token.encode()))):
                return web.Response(status=403, text="not from here")
            for line in self._lines():
                self._up.labels(line.name).set(line.up)
                self._lag.labels(line.name).set(line.lag.seconds)
                self._healed.labels(line.name).set(line.drift.healed)
                self._calls.labels(line.name).set(len(line.board.calls()))
            return web.Response(
                body=generate_latest(self.registry), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
            )

        return metrics


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        return any(ipaddress.ip_address(address) in network for network in networks)
    except ValueError:
        return False
