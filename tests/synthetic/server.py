"""The sockets: manager connections that log in, ask, and are told events of the classes they chose.

Like Asterisk it ends a session that does not take its bytes within the write time-out, and says nothing to it about it. A session can
be made to fall silent for good (half-open) or for a while (held back).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from tests.synthetic import words
from tests.synthetic.actions import Actions, Asked
from tests.synthetic.faults import IN_FLIGHT_S, Ears

WRITE_TIMEOUT_S: Final = 0.1
BANNER: Final = b"Asterisk Call Manager/11.0.0\r\n"


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rest = b""
        self._waiting: deque[bytes] = deque()
        self._blocked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.held_since: float | None = None
        self.silent_since: float | None = None
        self.classes: frozenset[str] = frozenset()
        self.good = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)
        self._server.sessions.add(self)
        self.write(BANNER)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._server.sessions.discard(self)
        self._server.lost(self)

    # ---------------------------------------------------------------------------------------------------------- hearing

    def data_received(self, data: bytes) -> None:
        if self.silent_since is not None:
            return
        *whole, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for block in whole:
            lines = (line.split(": ", 1) for line in block.decode().split("\r\n") if ": " in line)
            asked: Asked = {}
            for key, value in lines:
                asked.setdefault(key, value)
            self._server.hear(self, asked)

    # ---------------------------------------------------------------------------------------------------------- speaking

    def write(self, data: bytes) -> None:
        """Send it, after what waits."""
        if self.silent_since is not None or self.transport.is_closing():
            return
        self._waiting.append(data)
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._blocked_at is None and self.held_since is None:
            self.transport.write(self._waiting.popleft())

    def pause_writing(self) -> None:
        loop = asyncio.get_running_loop()
        self._blocked_at = self._server.now()
        self._timer = loop.call_later(WRITE_TIMEOUT_S, self._too_slow)

    def resume_writing(self) -> None:
        self._blocked_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pump()

    def _too_slow(self) -> None:
        self._server.too_slow += 1
        self.transport.abort()

    def hold(self, seconds: float) -> None:
        """Say nothing for so long, and then all of it."""
        self.held_since = self._server.now()
        asyncio.get_running_loop().call_later(seconds, self._release)

    def _release(self) -> None:
        self.held_since = None
        if not self.transport.is_closing():
            self._pump()

    def fall_silent(self) -> None:
        """Neither hear nor speak any more, and keep the socket."""
        self.silent_since = self._server.now()
        self._waiting.clear()

    @property
    def unheard_since(self) -> tuple[float, float]:
        """From when on what was said to it may never have been taken in, and from when on surely not."""
        known = [at for at in (self.held_since, self.silent_since, self._blocked_at) if at is not None]
        now = self._server.now()
        return min([now - IN_FLIGHT_S, *known]), min([now, *known])


class Server:
    """All sessions. `after` is called when an action may have changed something."""

    def __init__(self, actions: Actions, secret: str, ears: Ears, now: Callable[[], float], after: Callable[[], None]) -> None:
        self._actions, self._secret, self._ears, self.now, self._after = actions, secret, ears, now, after
        self.sessions: set[Session] = set()
        self.too_slow = 0
        self._listening: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Listen, on the same port each time."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Session(self), "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Listen no more, and cut everybody."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self.cut()

    def cut(self) -> None:
        """End every session without a word."""
        for session in list(self.sessions):
            session.transport.abort()

    def half_open(self) -> None:
        """Every session there is falls silent; new ones are well."""
        for session in self.sessions:
            session.fall_silent()
            self._ears.lose(session, *session.unheard_since)

    def hold(self, seconds: float) -> None:
        """Nothing goes out for so long."""
        for session in self.sessions:
            session.hold(seconds)

    def lost(self, session: Session) -> None:
        """A session ended."""
        self._ears.lose(session, *session.unheard_since)

    def hear(self, session: Session, asked: Asked) -> None:
        """One action of a session."""
        name = asked.get("Action")
        if name == "Login":
            self._log_in(session, asked)
        elif not session.good:
            session.write(words.answer(asked.get("ActionID", ""), "Message: Permission denied", good=False).encode())
        else:
            session.write(self._actions.carry_out(asked).encode())
            self._after()
            if name == "Logoff":
                session.transport.close()

    def _log_in(self, session: Session, asked: Asked) -> None:
        session.good = asked.get("Secret") == self._secret
        said = "Message: Authentication accepted" if session.good else "Message: Authentication failed"
        session.write(words.answer(asked.get("ActionID", ""), said, good=session.good).encode())
        if session.good and asked.get("Events", "on") != "off":
            session.classes = frozenset(asked.get("Events", "").split(","))
            session.write(
                b"Event: FullyBooted\r\nPrivilege: system,all\r\nUptime: 60\r\nLastReload: 60\r\nStatus: Fully Booted\r\n\r\n"
            )
            self._ears.gain(session, self.now())

    def tell(self, said: list[tuple[str, str]]) -> None:
        """Events, to all who chose their class."""
        for session in list(self.sessions):
            if session.classes and (wanted := "".join(text for kind, text in said if kind in session.classes)):
                session.write(wanted.encode())

    def tell_all(self, data: bytes) -> None:
        """Bytes as they are, to everybody who hears events."""
        for session in self.sessions:
            if session.classes:
                session.write(data)
