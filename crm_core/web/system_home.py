"""Where the System pages begin: the first one that the person may open, and the links between those they may."""

from __future__ import annotations

from aiohttp import web

from crm_core.kernel.access import Principal, Scope, reach
from crm_core.kernel.errors import NotAllowed
from crm_core.web.api import Routes
from crm_core.web.ask import Ask

PARTS = (
    ("dictionary", "/system/dictionary", ("dictionary", "edit")),
    ("roles", "/system/roles", ("role", "edit")),
)
"""The parts: name, address, the right that opens it. What they are called stands in system_parts.html."""
RIGHTS = tuple(dict.fromkeys(right for _, _, right in PARTS))


def _parts_of(principal: Principal) -> list[tuple[str, str]]:
    return [(name, href) for name, href, (kind, action) in PARTS if reach(principal, action, kind) > Scope.NONE]


class SystemHome:
    """The one handler."""

    def add_to(self, routes: Routes) -> None:
        """Declare the route."""
        routes.page("/system", self.first, right=None, summary="The first System page of this person")

    async def first(self, ask: Ask) -> web.Response:
        """On to the first part that is theirs. Raises NotAllowed where there is none."""
        parts = _parts_of(ask.principal)
        if not parts:
            raise NotAllowed("not_allowed", "You may not do this.")
        return web.Response(status=303, headers={"Location": parts[0][1]})
