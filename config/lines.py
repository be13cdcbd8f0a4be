"""From the settings of a PBX to the way in: its driver, where its recordings lie, where its SIP WebSocket is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from config.bootstrap import PbxAccess
from config.settings import Pbx, Settings
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.ports import PbxDriver


def access_of(settings: Settings) -> Mapping[str, PbxAccess]:
    """How each configured PBX is reached, by its name."""
    return {
        pbx.name: PbxAccess(
            make_driver=_maker(settings, pbx),
            spool=Path(pbx.recordings_spool) if pbx.recordings_spool else None,
            sip_ws=pbx.ws_url,
            realm=pbx.host,
        )
        for pbx in settings.pbx
    }


def _maker(settings: Settings, pbx: Pbx) -> Callable[[str], PbxDriver]:
    def make(position: str) -> PbxDriver:
        return AsteriskDriver.to(
            name=pbx.name, host=pbx.host, ami_port=pbx.ami_port, user=pbx.ami_user, secret=pbx.ami_secret, ari_url=pbx.ari_url,
            ari_user=pbx.ari_user, ari_secret=pbx.ari_secret, home=settings.home.folder, position=position,
        )  # fmt: skip

    return make
