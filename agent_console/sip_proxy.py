"""The browser phone's way to the PBX: its SIP WebSocket, same origin, carried through to the PBX's own and looked at by nobody.

Only somebody who sits at a browser seat of that PBX gets through (RFC 7118: SIP over WebSocket, subprotocol "sip").
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, WSMsgType, web

from crm_core.kernel.errors import Conflict, Unavailable
from crm_core.web.ask import Ask
from crm_core.web.socket import same_origin
from cti.services.seats import Seats

log = structlog.get_logger(__name__)
MAX_MESSAGE = 64 * 1024


class SipProxy:
    """Carries SIP between browsers and PBXs."""

    def __init__(self, seats: Seats, targets: Mapping[int, str], origins: frozenset[str]) -> None:
        self._seats, self.targets, self._origins = seats, targets, origins
        self._client: ClientSession | None = None

    async def serve(self, ask: Ask) -> web.StreamResponse:
        """Upgrade both sides and carry messages until one goes."""
        if not same_origin(ask.request, self._origins):
            return web.Response(status=403, text="foreign origin")
        sitting = self._seats.of_user(ask.principal.user_id)
        if sitting is None or sitting.phone != "browser":
            raise Conflict("not_seated", "You are not signed in to a seat.")
        target = self.targets.get(sitting.pbx_id, "")
        try:
            far = await self._session().ws_connect(target, protocols=("sip",), max_msg_size=MAX_MESSAGE, heartbeat=20)
        except (ClientError, OSError, TimeoutError) as error:
            log.warning(
                "a browser phone could not be connected to the PBX", user_id=ask.principal.user_id, why=type(error).__name__
            )
            raise Unavailable("pbx_away", "The phone system does not answer. Try again in a moment.") from error
        near = web.WebSocketResponse(protocols=("sip",), max_msg_size=MAX_MESSAGE, heartbeat=20, compress=False)
        await near.prepare(ask.request)
        await self._carry(near, far)
        return near

    def _session(self) -> ClientSession:
        if self._client is None:
            self._client = ClientSession(timeout=ClientTimeout(total=None, sock_connect=5))
        return self._client

    async def _carry(self, near: web.WebSocketResponse, far: ClientWebSocketResponse) -> None:
        ways = {asyncio.create_task(_pump(near, far)), asyncio.create_task(_pump(far, near))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await asyncio.gather(far.close(), near.close(), return_exceptions=True)

    async def close(self) -> None:
        """Let go of the PBX."""
        if self._client is not None:
            await self._client.close()


async def _pump(
    source: web.WebSocketResponse | ClientWebSocketResponse, sink: web.WebSocketResponse | ClientWebSocketResponse
) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
