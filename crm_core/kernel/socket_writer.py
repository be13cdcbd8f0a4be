"""The writer of a browser's WebSocket (aiohttp): plain calls that put whole frames on the transport, with the
Outbox's rule.

It has no task and awaits nothing, so that a screen-pop leaves in the same breath in which it was heard and one stuck
browser stops nobody else. It reads nothing: aiohttp's own loop does, and answers closes. It relies on
frames being written whole and uncompressed: the socket must be prepared with `compress=False`.
"""

from __future__ import annotations

import asyncio
import struct

import structlog
from aiohttp import web

from crm_core.kernel.outbox import SEND_LIMIT, Outbox

_TEXT = 0x81  # FIN and opcode 1, RFC 6455 §5.2
_CLOSE = 0x88  # FIN and opcode 8
_PING = 0x89  # FIN and opcode 9
_PONG = 0x8A  # FIN and opcode 10
_ABORT_AFTER_S = 5.0

log = structlog.get_logger(__name__)


def header(opcode: int, size: int) -> bytes:
    """The head of an unmasked, unfragmented frame (RFC 6455 §5.2; servers do not mask, §5.1)."""
    if size < 126:
        return bytes((opcode, size))
    if size < 65_536:
        return struct.pack("!BBH", opcode, 126, size)
    return struct.pack("!BBQ", opcode, 127, size)


class SocketWriter:
    """Sends text messages to one browser. Make it after `prepare`; all calls come from the event loop's thread."""

    def __init__(self, request: web.Request, limit: int = SEND_LIMIT, label: str = "") -> None:
        """`label` names the reader in the log, by identifiers only."""
        self._transport = request.transport
        self._label = label
        self._closing = False
        self.outbox = Outbox(self._write, self._backlog, self.close, limit)
        self.send = self.outbox.send

    def close(self, code: int, reason: str = "") -> None:
        """Say why and cut: a reader that does not answer within five seconds loses the connection."""
        if self._closing:
            return
        self._closing = self.outbox.evicted = True
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        log.info("A screen's socket is being cut.", code=code, why=reason, screen=self._label)
        payload = struct.pack("!H", code) + reason.encode()[:123]
        transport.write(header(_CLOSE, len(payload)) + payload)
        asyncio.get_running_loop().call_later(_ABORT_AFTER_S, transport.abort)

    def ping(self) -> None:
        """Ask whether anybody is there (RFC 6455 §5.5.2); the answer comes to whoever reads."""
        self._frame(_PING, b"")

    def pong(self, payload: bytes) -> None:
        """Answer the browser's ping (§5.5.3)."""
        self._frame(_PONG, payload[:125])

    def _write(self, message: bytes) -> None:
        self._frame(_TEXT, message)

    def _frame(self, opcode: int, payload: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(header(opcode, len(payload)) + payload)

    def _backlog(self) -> int:
        transport = self._transport
        return 0 if transport is None or transport.is_closing() else transport.get_write_buffer_size()
