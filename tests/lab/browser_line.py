"""The signalling half of a browser's softphone, by hand: SIP over a web socket (RFC 7118), digest log-in (RFC 2617), no media.

For tests that want to read exactly what a browser's phone is sent, or to try secrets. It answers each INVITE with 486 and keeps it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Self

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from cti.pbx.asterisk.provision import Login, secret_request


async def put_secret(ari: str, login: Login, extension: str, secret: str) -> None:
    """Give a browser seat its secret, as provision.py says that it is done."""
    path, body = secret_request(extension, secret)
    headers = {"Authorization": aiohttp.encode_basic_auth(login.user, login.secret)}
    async with aiohttp.ClientSession(headers=headers) as session, session.put(ari + path, json=body) as response:
        assert response.status == 200, await response.text()


def header(message: str, name: str) -> str:
    match = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r?$", message)
    return match.group(1) if match else ""


class BrowserLine:
    """One web socket of one extension. `received` holds every SIP message that came, whole."""

    def __init__(self, socket: ClientConnection, extension: str) -> None:
        self.received: list[str] = []
        self._socket = socket
        self._extension = extension
        self._task = asyncio.create_task(self._read())
        self._changed = asyncio.Condition()
        self._call_id = uuid.uuid4().hex

    @classmethod
    async def open(cls, address: str, port: int, extension: str) -> Self:
        return cls(await connect(f"ws://{address}:{port}/ws", subprotocols=[Subprotocol("sip")]), extension)

    async def close(self) -> None:
        self._task.cancel()
        await self._socket.close()

    async def register(self, secret: str) -> int:
        """Try to register; the final status (200, or 401 when the secret is wrong)."""
        first = await self._ask(1, "")
        if not first.startswith("SIP/2.0 401"):
            return int(first.split()[1])
        return int((await self._ask(2, self._credentials(header(first, "WWW-Authenticate"), secret))).split()[1])

    async def invited(self, timeout: float = 10) -> str:
        """The first INVITE, come or to come."""
        return await self._until(lambda message: message.startswith("INVITE "), timeout)

    async def _ask(self, number: int, credentials: str) -> str:
        user = f"<sip:{self._extension}@lab.invalid>"
        await self._socket.send(
            f"REGISTER sip:lab.invalid SIP/2.0\r\nVia: SIP/2.0/WS {self._call_id}.invalid;branch=z9hG4bK{uuid.uuid4().hex}\r\n"
            f"Max-Forwards: 70\r\nFrom: {user};tag={self._call_id[:8]}\r\nTo: {user}\r\nCall-ID: {self._call_id}\r\n"
            f"CSeq: {number} REGISTER\r\nContact: <sip:{self._extension}@{self._call_id}.invalid;transport=ws>\r\nExpires: 300\r\n"
            f"{credentials}Content-Length: 0\r\n\r\n"
        )
        return await self._until(
            lambda m: m.startswith("SIP/2.0 ") and header(m, "CSeq") == f"{number} REGISTER" and " 100 " not in m[:12]
        )

    def _credentials(self, challenge: str, secret: str) -> str:
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        uri = "sip:lab.invalid"
        one = hashlib.md5(f"{self._extension}:{asked['realm']}:{secret}".encode()).hexdigest()
        two = hashlib.md5(f"REGISTER:{uri}".encode()).hexdigest()
        answer = hashlib.md5(f"{one}:{asked['nonce']}:00000001:ours:auth:{two}".encode()).hexdigest()
        return (
            f'Authorization: Digest username="{self._extension}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
            f'response="{answer}", algorithm=MD5, qop=auth, nc=00000001, cnonce="ours", opaque="{asked.get("opaque", "")}"\r\n'
        )

    async def _until(self, wanted: Callable[[str], bool], timeout: float = 10) -> str:
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: any(wanted(message) for message in self.received))
        return next(message for message in self.received if wanted(message))

    async def _read(self) -> None:
        async for raw in self._socket:
            message = raw if isinstance(raw, str) else raw.decode()
            self.received.append(message)
            if message.startswith(("INVITE ", "OPTIONS ")):
                await self._reply(message, "486 Busy Here" if message.startswith("INVITE") else "200 OK")
            async with self._changed:
                self._changed.notify_all()

    async def _reply(self, request: str, line: str) -> None:
        kept = "".join(f"{name}: {header(request, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
        await self._socket.send(f"SIP/2.0 {line}\r\n{kept}To: {header(request, 'To')};tag=ours\r\nContent-Length: 0\r\n\r\n")
