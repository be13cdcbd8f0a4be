"""The events connection to Asterisk: log in, keep it alive, notice when it is dead, come back.

One non-blocking socket driven from outside: `turn` is called when the socket is readable or time has passed, and gives back the
whole messages that came. Nothing is handed out before it is known which boot of the PBX they belong to. `why` tells in one
sentence why the link is down, "" before it was tried.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
from enum import Enum, auto
from typing import Final

from cti.pbx.asterisk.ami_actions import Action, CoreStatus, Login, Ping, encode
from cti.pbx.asterisk.ami_wire import END, EVENT, Message, Parser

EVENT_CLASSES: Final = "system,call,agent,user"
PING_S: Final = 1.0
DEAD_S: Final = 3.0
CONNECT_S: Final = 3.0
BOOT_S: Final = 20.0
BACK_OFF_S: Final = (0.05, 2.0)
REFUSED_S: Final = 5.0  # a wrong password is not tried many times a second: PBXs shut such clients out
RECEIVE_BUFFER: Final = 4 * 1024 * 1024
_READ: Final = 1024 * 1024
_TAIL_LIMIT: Final = 1024 * 1024


class Stage(Enum):
    """How far the link has come."""

    DOWN = auto()
    CONNECTING = auto()
    LOGGING_IN = auto()
    BOOTING = auto()
    UP = auto()


class EventLink:
    """A link that comes back by itself. `up` and `epoch` are of this moment; `socket` is what to wait for, None while down."""

    def __init__(self, host: str, port: int, user: str, secret: str) -> None:
        self._host, self._port, self._user, self._secret = host, port, user, secret
        self._stage = Stage.DOWN
        self.socket: socket.socket | None = None
        self.epoch = ""
        self.why = ""
        self._parser = Parser(frozenset({"FullyBooted"}))
        self._tail = b""  # an unfinished message
        self._held = b""  # whole messages of a boot not known yet
        self._delay = BACK_OFF_S[0]
        self._next_try = 0.0
        self._since = 0.0
        self._heard = 0.0
        self._pinged = 0.0
        self._wait = 0.0

    @property
    def up(self) -> bool:
        """Logged in to a PBX that is up."""
        return self._stage is Stage.UP

    def patience(self, most: float) -> float:
        """How long to wait for the socket before the next `turn`, at most `most` seconds."""
        return most if self._stage is not Stage.DOWN else min(most, self._wait)

    def turn(self, now: float) -> bytes:
        """Do what is due and read what is there: whole messages, in order."""
        self._wait = max(0.0, self._next_try - now)
        if self._stage is Stage.DOWN:
            if now >= self._next_try:
                self._connect(now)
            return b""
        if self._stage is Stage.CONNECTING and not self._connected(now):
            return b""
        heard = self._read(now) if self.socket is not None else b""
        if self.socket is not None:
            self._keep_alive(now)
        return heard

    def ask_for_a_word(self) -> None:
        """Somebody wants to know up to when the PBX is heard: it is made to say something at the next turn."""
        self._pinged = 0.0

    def close(self) -> None:
        """End the link without a word."""
        self._down("The link was closed.", 0.0, BACK_OFF_S[1])

    # ---------------------------------------------------------------------------------------------------- coming up

    def _connect(self, now: float) -> None:
        try:
            family, kind, proto, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0]
            made = socket.socket(family, kind, proto)
        except OSError as error:
            self._down(f"The PBX's name {self._host} can't be resolved: {_reason(error)}.", now)
            return
        made.setblocking(False)
        _widen(made)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self._since, self._stage = made, now, Stage.CONNECTING
        self._parser, self._tail, self._held = Parser(frozenset({"FullyBooted"})), b"", b""
        result = made.connect_ex(address)
        if result not in (0, errno.EINPROGRESS):
            self._down(self._unreachable(OSError(result, os.strerror(result))), now)

    def _connected(self, now: float) -> bool:
        assert self.socket is not None
        result = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if result:
            self._down(self._unreachable(OSError(result, os.strerror(result))), now)
            return False
        try:
            self.socket.getpeername()
        except OSError:
            if now - self._since > CONNECT_S:
                self._down(f"The PBX does not answer at {self._host}:{self._port}.", now)
            return False
        self._stage, self._since, self._heard, self._pinged = Stage.LOGGING_IN, now, now, now
        self._send(Login(username=self._user, secret=self._secret, events=EVENT_CLASSES), "login", now)
        return True

    def _unreachable(self, error: OSError) -> str:
        return f"The PBX can't be reached at {self._host}:{self._port}: {_reason(error)}."

    # ------------------------------------------------------------------------------------------------------ hearing

    def _read(self, now: float) -> bytes:
        assert self.socket is not None
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return b""
        except OSError as error:
            self._down(f"The link to the PBX broke: {_reason(error)}.", now)
            return b""
        if not data:
            self._down("The PBX closed the link.", now)
            return b""
        self._heard = now
        whole, end, self._tail = (self._tail + data).rpartition(END)
        if len(self._tail) > _TAIL_LIMIT:
            self._down("The PBX sent a message without an end.", now)
            return b""
        if self._stage is Stage.UP:
            return whole + end
        for message in self._parser.feed(whole + end):
            self._follow(message, now)
        self._held += whole + end
        if not self.up:
            return b""
        held, self._held = self._held, b""
        return held

    def _follow(self, message: Message, now: float) -> None:
        """Take the next step of logging in."""
        if message.kind == EVENT:
            if self._stage is Stage.BOOTING:
                self._send(CoreStatus(), "status", now)
        elif message.get("ActionID") == "login":
            if message.name != "Success":
                self._refused(message.get("Message"), now)
            else:
                self._stage, self._since = Stage.BOOTING, now
        elif message.get("ActionID") == "status":
            if message.name != "Success":
                why = f"The PBX's manager account {self._user} may not use CoreStatus: add write=reporting to it in manager.conf."
                self._down(why, now, REFUSED_S)
            else:
                self.epoch = f"{message.get('CoreStartupDate')}T{message.get('CoreStartupTime')}"
                self._stage, self._delay, self.why = Stage.UP, BACK_OFF_S[0], ""

    def _refused(self, reason: str, now: float) -> None:
        if "permission" in reason.lower() or "authentication" in reason.lower():
            why = f"The PBX refused the name or the secret of its manager account {self._user}."
        else:
            why = f"The PBX refused the log-in of its manager account {self._user}: {reason}."
        self._down(why, now, REFUSED_S)

    def _keep_alive(self, now: float) -> None:
        if self._stage is Stage.BOOTING and now - self._since > BOOT_S:
            why = f"The PBX is still starting, or its manager account {self._user} lacks read=system in manager.conf."
            self._since = now
            self.why = why
        if now - self._heard > DEAD_S:
            self._down(f"The PBX has said nothing for {DEAD_S:g} seconds.", now)
        elif now - self._pinged >= PING_S and self._stage in (Stage.BOOTING, Stage.UP):
            self._pinged = now
            self._send(Ping(), "ping", now)

    def _send(self, action: Action, action_id: str, now: float) -> None:
        assert self.socket is not None
        try:
            self.socket.send(encode(action, action_id))
        except BlockingIOError:
            pass  # a full buffer: the PBX reads nothing, so silence will tell
        except OSError as error:
            self._down(f"The link to the PBX broke: {_reason(error)}.", now)

    def _down(self, why: str, now: float, at_least: float = 0.0) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket, self._stage, self.epoch, self.why = None, Stage.DOWN, "", why
        self._held = self._tail = b""
        self._delay = min(self._delay * 2, BACK_OFF_S[1])
        self._next_try = now + max(at_least, self._delay * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, no secret
        self._wait = max(0.0, self._next_try - now)


def _widen(made: socket.socket) -> None:
    """Ask for a large receive buffer, so that a short stall here is none for the PBX."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    try:
        made.setsockopt(socket.SOL_SOCKET, force, RECEIVE_BUFFER)
    except OSError:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).strip(".")
