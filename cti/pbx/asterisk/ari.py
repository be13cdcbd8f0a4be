"""The few things Asterisk takes over its REST interface and not over AMI: browser phones' secrets, and reloading.

Plain requests, no web socket. Addresses: the ARI reference, `asterisk` resource.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import aiohttp

from cti.pbx.asterisk.provision import secret_request
from cti.ports import PbxRefused, PbxUnreachable

TIMEOUT_S: Final = 5.0
# What our configuration is read by; a reload of any touches no live call.
RELOADED: Final = ("res_pjsip.so", "app_queue.so", "pbx_config.so")


class Ari:
    """Asterisk's REST interface at `address` (…/ari)."""

    def __init__(self, address: str, user: str, secret: str) -> None:
        self._address = address.rstrip("/")
        self._headers = {"Authorization": aiohttp.encode_basic_auth(user, secret)}

    async def set_phone_secret(self, extension: str, secret: str) -> None:
        """Let the phone of an extension register with this secret only."""
        path, body = secret_request(extension, secret)
        await self._put(path, body)

    async def reload(self, modules: Sequence[str] = RELOADED) -> None:
        """Have modules read their configuration again."""
        for module in modules:
            await self._put(f"/asterisk/modules/{quote(module, safe='')}", None)

    async def _put(self, path: str, body: dict[str, object] | None) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
                session.put(self._address + path, json=body) as answer,
            ):
                if answer.status >= 400:
                    raise _refusal(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PbxUnreachable("The PBX's REST interface does not answer.") from error


def _refusal(status: int) -> PbxRefused:
    if status == 401:
        return PbxRefused("The PBX refused the name or the secret of its REST account.")
    return PbxRefused("The PBX refused a request to its REST interface with status {status}.", status=status)
