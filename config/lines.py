"""From the settings of a PBX to the way in: its driver, where its recordings lie, where its SIP WebSocket is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from config.bootstrap import PbxAccess
from config.settings import Pbx, Settings
from cti.pbx.asterisk.ari import Ari
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
    return asterisk(
        settings.home.folder,
        name=pbx.name,
        host=pbx.host,
        port=pbx.ami_port,
        user=pbx.ami_user,
        secret=pbx.ami_secret,
        ari=(pbx.ari_url, pbx.ari_user, pbx.ari_secret),
        journal_days=pbx.journal_days,
    )


def asterisk(
    home: Path, *, name: str, host: str, port: int, user: str, secret: str, ari: tuple[str, str, str], journal_days: int = 7
) -> Callable[[str], PbxDriver]:
    """What makes the driver of an Asterisk, given the journal position to go on from; `ari` is address, user, secret."""

    def make(position: str) -> PbxDriver:
        return AsteriskDriver(
            host=host,
            port=port,
            user=user,
            secret=secret,
            journal=home / "journal" / name,
            ari=Ari(*ari) if ari[0] else None,
            start_at=position,
            keep_days=float(journal_days),
        )

    return make
