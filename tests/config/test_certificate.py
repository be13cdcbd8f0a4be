"""The certificate that `lingxi tls` makes: a browser's handshake accepts it for the names asked for, and nobody else may read the key."""

from __future__ import annotations

import asyncio
import ssl
import stat
from pathlib import Path

import pytest

from config.certificate import make


async def test_a_handshake_with_the_names_asked_for(tmp_path: Path) -> None:
    cert, key = make(tmp_path / "tls", ("localhost", "127.0.0.1"), 30)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    there.load_cert_chain(cert, key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=there)
    port = server.sockets[0].getsockname()[1]
    here = ssl.create_default_context(cafile=str(cert))
    for name in ("localhost", "127.0.0.1"):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=here, server_hostname=name)
        writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=here, server_hostname="example.com")
    server.close()
