"""The secret of a browser's phone: set while everything runs, gone when it is replaced, still there after a restart of the PBX."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.lab.asterisk_lab import ARI, AsteriskLab, asterisk_lab, private_lab  # noqa: F401
from tests.lab.browser_line import BrowserLine, put_secret

pytestmark = pytest.mark.pbx
FIRST, SECOND = "secret-of-the-morning", "secret-of-the-evening"


async def try_secret(lab: AsteriskLab, extension: str, secret: str) -> int:
    line = await BrowserLine.open(lab.process.own.address, lab.ports.http, extension)
    try:
        return await line.register(secret)
    finally:
        await line.close()


async def test_a_seat_without_a_secret_lets_nobody_in(asterisk_lab: AsteriskLab) -> None:  # noqa: F811
    for secret in ("", "2009", FIRST):
        assert await try_secret(asterisk_lab, "2009", secret) >= 400  # 500, in fact: there is nothing to compare with


async def test_a_new_secret_replaces_the_old_one_and_outlives_the_pbx(private_lab: AsteriskLab) -> None:  # noqa: F811
    lab = private_lab
    await put_secret(lab.ari_address, ARI, "2001", FIRST)
    assert await try_secret(lab, "2001", FIRST) == 200
    began = time.perf_counter()
    await put_secret(lab.ari_address, ARI, "2001", SECOND)
    print(f"a secret is set in {1000 * (time.perf_counter() - began):.1f} ms")
    assert await try_secret(lab, "2001", FIRST) == 401
    assert await try_secret(lab, "2001", SECOND) == 200
    await asyncio.sleep(1.2)  # Asterisk writes its database once a second
    await lab.process.kill()
    await lab.process.start()
    assert await try_secret(lab, "2001", FIRST) == 401
    assert await try_secret(lab, "2001", SECOND) == 200
    assert await try_secret(lab, "2002", SECOND) >= 400
