"""A SIP telephone for recorded scenes that does what it is told, when it is told: answer, refuse, forward, hold, refer, hang up.

SIPp plays a script from end to end; a scene needs somebody who waits for what the PBX said and then presses a key. Enough of
RFC 3261 for one Asterisk on the loopback: no retransmission, no routes, and a session description without any sound behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, Self

Address = tuple[str, int]

_REASONS: Final = {100: "Trying", 180: "Ringing", 200: "OK", 202: "Accepted", 302: "Moved Temporarily", 486: "Busy Here"}
_PACE_S: Final = 8.0
_REFUSES_S: Final = 0.1  # no network and no phone is quicker


class PhoneFailed(Exception):
    """The PBX did not do what the scene needs; the text says what was asked and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What a phone does with a call: ring, and after `answer_s` pick up (None: never); or refuse with the status `refuse`.

    `forward` is the user part a refusal with 302 names.
    """

    answer_s: float | None = 0.2
    refuse: int = 0
    forward: str = ""


ANSWERS: Final = Habit()
RINGS: Final = Habit(answer_s=None)
BUSY: Final = Habit(refuse=486)
DECLINES: Final = Habit(refuse=603)
VACANT: Final = Habit(refuse=404)


class Message:
    """A SIP message taken apart: first line, headers in order, body."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.decode(errors="replace").partition("\r\n\r\n")
        self.first, *lines = head.split("\r\n")
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        words = self.first.split(" ")
        self.status = int(words[1]) if words[0] == "SIP/2.0" else 0
        self.method = self.get("cseq").split(" ")[-1] if self.status else words[0]
        self.target = "" if self.status else words[1]

    def get(self, name: str) -> str:
        """The first value of a header, "" if there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def number(self) -> int:
        """The number in CSeq."""
        return int(self.get("cseq").split(" ")[0])


@dataclass(eq=False)
class Talk:
    """One dialog of a phone. `local` and `remote` are the From and To values of requests we send in it."""

    phone: Phone
    call_id: str
    local: str
    remote: str
    target: str
    invite: Message | None = None  # the one that came, for whoever is called
    cseq: int = 1
    branch: str = ""
    status: int = 0
    over: bool = False
    rang: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Task[None] | None = None

    async def up(self, timeout: float = _PACE_S) -> Self:
        """Wait until it is answered; PhoneFailed if it is refused."""
        await asyncio.wait_for(self.settled.wait(), timeout)
        if self.status != 200:
            raise PhoneFailed(f"{self.phone.user} called {self.remote} and got {self.status}")
        return self

    async def down(self, timeout: float = 20.0) -> None:
        """Wait until the other side has ended it."""
        await asyncio.wait_for(self.ended.wait(), timeout)

    def answer(self) -> None:
        """Pick up."""
        assert self.invite is not None
        self.status = 200
        self.phone.respond(self.invite, 200, self, sdp="sendrecv")
        self.settled.set()

    def hang_up(self) -> None:
        """Put down: BYE, or CANCEL of a call of ours that was not answered yet, or 486 to one that rings here."""
        if self.over:
            return
        if self.status == 200:
            self.over = True
            self.phone.request(self, "BYE")
            self.ended.set()
        elif self.invite is not None:
            if self.answering is not None:
                self.answering.cancel()
            self.phone.refuse(self, 486)
        else:
            self.phone.cancel(self)

    def hold(self, on: bool) -> None:
        """Put the other side on hold, or take it back."""
        self.phone.request(self, "INVITE", sdp="sendonly" if on else "sendrecv")

    def refer(self, to: str, replaces: Talk | None = None) -> None:
        """Ask the PBX to pass the other side on: to a number, or to the far end of another call of ours (attended)."""
        where = f"sip:{to}@{self.phone.pbx[0]}:{self.phone.pbx[1]}"
        if replaces is not None:
            ours, theirs = tag_of(replaces.local), tag_of(replaces.remote)
            dialog = f"{replaces.call_id};to-tag={theirs};from-tag={ours}"
            where += "?Replaces=" + dialog.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        self.phone.request(self, "REFER", f"Refer-To: <{where}>", f"Referred-By: {self.local}")

    def key(self, digit: str) -> None:
        """Press a key of the dial (by INFO)."""
        self.phone.request(self, "INFO", "Content-Type: application/dtmf-relay", body=f"Signal={digit}\r\nDuration=160\r\n")


def tag_of(value: str) -> str:
    """The tag in a From or To value."""
    match = re.search(r";tag=([^;>]+)", value)
    return match.group(1) if match else ""


class Phone(asyncio.DatagramProtocol):
    """A telephone at one address. With a `secret` it registers as `user`; without it is somebody outside, behind the trunk."""

    def __init__(self, user: str, pbx: Address, secret: str = "", habit: Habit = ANSWERS) -> None:
        self.user, self.pbx, self._secret, self.habit = user, pbx, secret, habit
        self.here: Address = ("", 0)
        self.talks: list[Talk] = []
        self._by_id: dict[str, Talk] = {}
        self._answers: dict[tuple[str, int], asyncio.Future[Message]] = {}
        self._said: dict[tuple[str, int, str], bytes] = {}
        self._wire: asyncio.DatagramTransport | None = None

    async def start(self, here: Address) -> Self:
        """Listen at `here`, and register if there is a secret."""
        self.here = here
        loop = asyncio.get_running_loop()
        self._wire, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=here)
        if self._secret:
            await self._register(3600)
        return self

    def close(self) -> None:
        for talk in self.talks:
            if talk.answering is not None:
                talk.answering.cancel()
        if self._wire is not None:
            self._wire.close()

    @property
    def last(self) -> Talk:
        """The dialog that began last."""
        if not self.talks:
            raise PhoneFailed(f"{self.user} was never called")
        return self.talks[-1]

    async def call(self, number: str, name: str = "") -> Talk:
        """Call a number; returns once the PBX has taken the INVITE, to be followed by `Talk.up`."""
        shown = f'"{name}" ' if name else ""
        where = f"sip:{number}@{self.pbx[0]}:{self.pbx[1]}"
        local = f"{shown}<sip:{self.user}@{self.here[0]}:{self.here[1]}>;tag={secrets.token_hex(4)}"
        talk = Talk(self, f"{secrets.token_hex(8)}@{self.here[0]}", local, f"<{where}>", where)
        self.talks.append(talk)
        self._by_id[talk.call_id] = talk
        answer = await self._asked(talk, "INVITE", sdp="sendrecv")
        if answer.status == 401:
            talk.remote = f"<{where}>"
            await self._asked(talk, "INVITE", self._credentials(answer, "INVITE", where), sdp="sendrecv")
        return talk

    # ------------------------------------------------------------------------------------------------------- sending

    async def _asked(self, talk: Talk, method: str, *extra: str, sdp: str = "") -> Message:
        """The first response to a request that is not 100."""
        self.request(talk, method, *extra, sdp=sdp)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[talk.call_id, talk.cseq] = future
        return await asyncio.wait_for(future, _PACE_S)

    def request(self, talk: Talk, method: str, *extra: str, sdp: str = "", body: str = "") -> None:
        """Send a request in (or for) a dialog."""
        talk.cseq += 1
        talk.branch = f"z9hG4bK{secrets.token_hex(6)}"
        if sdp:
            body, extra = self._sdp(sdp), (*extra, "Content-Type: application/sdp")
        self._send(self._lines(talk, method, talk.cseq, talk.branch), extra, body)

    def cancel(self, talk: Talk) -> None:
        self._send(self._lines(talk, "CANCEL", talk.cseq, talk.branch), (), "")

    def _lines(self, talk: Talk, method: str, cseq: int, branch: str) -> list[str]:
        remote = re.sub(r";tag=[^;>]+", "", talk.remote) if method == "CANCEL" else talk.remote
        return [
            f"{method} {talk.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.here[0]}:{self.here[1]};branch={branch}",
            "Max-Forwards: 70",
            f"From: {talk.local}",
            f"To: {remote}",
            f"Call-ID: {talk.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.user}@{self.here[0]}:{self.here[1]}>",
        ]

    def respond(self, asked: Message, status: int, talk: Talk | None = None, *extra: str, sdp: str = "") -> None:
        """Answer a request."""
        to = asked.get("to")
        if talk is not None and ";tag=" not in to:
            to = talk.local
        lines = [f"SIP/2.0 {status} {_REASONS.get(status, 'No')}", *(f"Via: {via}" for via in asked.all("via"))]
        lines += [f"From: {asked.get('from')}", f"To: {to}", f"Call-ID: {asked.get('call-id')}", f"CSeq: {asked.get('cseq')}"]
        if status < 300 and status != 100:
            lines.append(f"Contact: <sip:{self.user}@{self.here[0]}:{self.here[1]}>")
        body = self._sdp(sdp) if sdp else ""
        sent = self._send(lines, (*extra, *(["Content-Type: application/sdp"] if sdp else [])), body)
        self._said[asked.get("call-id"), asked.number, asked.method] = sent

    def refuse(self, talk: Talk, status: int, *extra: str) -> None:
        """Turn down a call that came."""
        assert talk.invite is not None
        talk.over, talk.status = True, status
        self.respond(talk.invite, status, talk, *extra)
        talk.settled.set()
        talk.ended.set()

    def _send(self, lines: list[str], extra: tuple[str, ...], body: str) -> bytes:
        head = "\r\n".join([*lines, *extra, f"Content-Length: {len(body)}"])
        data = f"{head}\r\n\r\n{body}".encode()
        assert self._wire is not None
        self._wire.sendto(data, self.pbx)
        return data

    def _sdp(self, mode: str) -> str:
        lines = ["v=0", f"o=- 1 1 IN IP4 {self.here[0]}", "s=-", f"c=IN IP4 {self.here[0]}", "t=0 0"]
        lines += [f"m=audio {self.here[1] + 1} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000"]
        return "\r\n".join([*lines, "a=ptime:20", f"a={mode}", ""])

    # --------------------------------------------------------------------------------------------------- registration

    async def _register(self, expires: int) -> None:
        where = f"sip:{self.pbx[0]}:{self.pbx[1]}"
        us = f"<sip:{self.user}@{self.pbx[0]}>"
        talk = Talk(self, secrets.token_hex(8), f"{us};tag={secrets.token_hex(4)}", us, where)
        answer = await self._asked(talk, "REGISTER", f"Expires: {expires}")
        if answer.status == 401:
            answer = await self._asked(talk, "REGISTER", f"Expires: {expires}", self._credentials(answer, "REGISTER", where))
        if answer.status != 200:
            raise PhoneFailed(f"{self.user} was not registered: {answer.first}")

    def _credentials(self, refusal: Message, method: str, uri: str) -> str:
        """The Authorization header that answers a challenge (RFC 2617, MD5, qop=auth)."""
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', refusal.get("www-authenticate")))
        one = _md5(f"{self.user}:{said['realm']}:{self._secret}")
        proof = _md5(f"{one}:{said['nonce']}:00000001:cafe:auth:{_md5(f'{method}:{uri}')}")
        values = {"username": self.user, "realm": said["realm"], "nonce": said["nonce"], "uri": uri, "response": proof}
        quoted = ", ".join(f'{name}="{value}"' for name, value in (values | {"opaque": said.get("opaque", "")}).items())
        return f'Authorization: Digest {quoted}, algorithm=MD5, qop=auth, nc=00000001, cnonce="cafe"'

    # -------------------------------------------------------------------------------------------------------- hearing

    def datagram_received(self, data: bytes, addr: Address) -> None:
        message = Message(data)
        if message.status:
            self._heard_response(message)
        elif message.method != "ACK":
            again = self._said.get((message.get("call-id"), message.number, message.method))
            if again is not None and self._wire is not None:
                self._wire.sendto(again, self.pbx)
            else:
                self._heard_request(message)

    def _heard_response(self, message: Message) -> None:
        talk = self._by_id.get(message.get("call-id"))
        if message.status > 100:
            if talk is not None and message.method == "INVITE" and not talk.settled.is_set():
                self._progress(talk, message)
            elif talk is not None and message.method == "INVITE" and message.status >= 200:
                self._acknowledge(talk, message)
            future = self._answers.pop((message.get("call-id"), message.number), None)
            if future is not None and not future.done():
                future.set_result(message)

    def _progress(self, talk: Talk, message: Message) -> None:
        """The answers to an INVITE that begins a call."""
        talk.remote = message.get("to")
        if message.status >= 200:
            if message.status == 200 and (contact := re.search(r"<([^>]+)>", message.get("contact"))):
                talk.target = contact.group(1)
            self._acknowledge(talk, message)
        if message.status == 401:
            return
        talk.status = message.status
        if message.status == 180:
            talk.rang.set()
        if message.status >= 200:
            talk.settled.set()
        if message.status >= 300:
            talk.over = True
            talk.ended.set()

    def _acknowledge(self, talk: Talk, message: Message) -> None:
        branch = talk.branch if message.status >= 300 else f"z9hG4bK{secrets.token_hex(6)}"
        self._send(self._lines(talk, "ACK", message.number, branch), (), "")

    def _heard_request(self, message: Message) -> None:
        talk = self._by_id.get(message.get("call-id"))
        if message.method == "INVITE" and talk is None:
            self._called(message)
        elif message.method == "INVITE":
            self.respond(message, 200, talk, sdp="recvonly" if "a=sendonly" in message.body else "sendrecv")
        elif message.method == "CANCEL":
            self.respond(message, 200, talk)
            if talk is not None and not talk.over and talk.status != 200:
                if talk.answering is not None:
                    talk.answering.cancel()
                self.refuse(talk, 487)
        else:
            self.respond(message, 200, talk)
            if message.method == "BYE" and talk is not None:
                talk.over = True
                talk.ended.set()
            elif message.method == "NOTIFY" and talk is not None and message.body.startswith("SIP/2.0 200"):
                talk.hang_up()  # what it was asked for with REFER is done

    def _called(self, message: Message) -> None:
        contact = re.search(r"<([^>]+)>", message.get("contact"))
        local = f"{message.get('to')};tag={secrets.token_hex(4)}"
        target = contact.group(1) if contact else f"sip:{self.pbx[0]}:{self.pbx[1]}"
        talk = Talk(self, message.get("call-id"), local, message.get("from"), target, invite=message, cseq=100)
        self.talks.append(talk)
        self._by_id[talk.call_id] = talk
        habit = self.habit
        if not habit.refuse and not habit.forward:
            self.respond(message, 180, talk)
            talk.rang.set()
        talk.answering = asyncio.get_running_loop().create_task(self._decide(talk, habit))

    async def _decide(self, talk: Talk, habit: Habit) -> None:
        if habit.refuse or habit.forward:
            await asyncio.sleep(_REFUSES_S)
            to = f"Contact: <sip:{habit.forward}@{self.pbx[0]}:{self.pbx[1]}>"
            self.refuse(talk, habit.refuse or 302, *([to] if habit.forward else []))
        elif habit.answer_s is not None:
            await asyncio.sleep(habit.answer_s)
            talk.answer()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
