"""A caller whose INVITE leaves at a moment that is known to the microsecond: one UDP socket, no sound.

It does what RFC 3261 asks of a caller that rings, is answered and hangs up, and nothing more; retransmissions it leaves to the other
side, since both are on one machine.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import Final, Self, cast

_STATUS: Final = re.compile(rb"SIP/2\.0 (\d{3})")
_TO: Final = re.compile(rb"(?im)^To\s*:\s*([^\r]+)")
_CONTACT: Final = re.compile(rb"(?im)^Contact\s*:\s*<([^>]+)>")
_CALL: Final = re.compile(rb"(?im)^Call-ID\s*:\s*([^\r]+)")
_REPEATED: Final = ("Via", "From", "To", "Call-ID", "CSeq")


class SipCaller(asyncio.DatagramProtocol):
    """A line to the PBX from the trunk's address; one call at a time."""

    def __init__(self, pbx: tuple[str, int]) -> None:
        self._pbx = pbx
        self._transport: asyncio.DatagramTransport
        self._call = self._to = self._target = ""
        self._from = ""
        self._answered = asyncio.Event()

    @classmethod
    async def open(cls, pbx: tuple[str, int], address: str) -> Self:
        """A socket at the trunk's address."""
        _, made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(pbx), local_addr=(address, 0))
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    @property
    def _here(self) -> str:
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def _via(self) -> str:
        return f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK{uuid.uuid4().hex};rport"

    def call(self, number: str, to: str) -> float:
        """Send the INVITE; the moment before it left, by the machine's clock."""
        self._call, self._answered = uuid.uuid4().hex, asyncio.Event()
        self._target = f"sip:{to}@{self._pbx[0]}:{self._pbx[1]}"
        self._to = f"<sip:{to}@{self._pbx[0]}>"
        self._from = f"<sip:{number}@{self._here.partition(':')[0]}>;tag={self._call[:8]}"
        sound = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {self._here.partition(':')[0]}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0\r\n"
        message = self._request("INVITE", 1, f"Contact: <sip:{number}@{self._here}>\r\nContent-Type: application/sdp\r\n", sound)
        at = time.time()
        self._transport.sendto(message, self._pbx)
        return at

    def _request(self, method: str, number: int, more: str = "", body: str = "") -> bytes:
        head = (
            f"{method} {self._target} SIP/2.0\r\n{self._via()}\r\nMax-Forwards: 70\r\nFrom: {self._from}\r\nTo: {self._to}\r\n"
            f"Call-ID: {self._call}\r\nCSeq: {number} {method}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        status, call = _STATUS.match(data), _CALL.search(data)
        if status is None:
            self._transport.sendto(_reply(data), addr)
        elif status[1] == b"200" and b"INVITE" in data and call is not None and call[1].decode() == self._call:
            to, contact = _TO.search(data), _CONTACT.search(data)
            if to and contact:
                self._to, self._target = to[1].decode(), contact[1].decode()
                self._transport.sendto(self._request("ACK", 1), addr)
                self._answered.set()

    async def hang_up(self) -> None:
        """End the call, which the PBX answered when it began to wait."""
        await asyncio.wait_for(self._answered.wait(), 10)
        self._transport.sendto(self._request("BYE", 2), self._pbx)

    def close(self) -> None:
        """Let go of the socket."""
        self._transport.close()


def _reply(request: bytes) -> bytes:
    lines = request.decode(errors="replace").split("\r\n")
    kept = [line for line in lines if line.partition(":")[0] in _REPEATED]
    return ("SIP/2.0 200 OK\r\n" + "\r\n".join(kept) + "\r\nContent-Length: 0\r\n\r\n").encode()
