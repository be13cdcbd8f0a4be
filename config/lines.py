"""From the settings of a PBX to the way in: its driver, where its recordings lie, where its SIP WebSocket is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import select

from config.bootstrap import PbxAccess
from config.settings import Pbx, Settings
from crm_core.kernel.db import Database
from crm_core.kernel.sentence import Trouble
from cti.pbx.asterisk.ari import Ari
from cti.pbx.asterisk.driver import AsteriskDriver
from cti.pbx.asterisk.provision import Login, write_atomically
from cti.ports import PbxDriver
from cti.services.provisioning import Surroundings, plan_of
from cti.storage import Pbx as PbxRow

TEMPLATES = Path(__file__).parent / "asterisk"


class UnknownPbx(Trouble):
    """There is no PBX of that name."""


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
        books=Path(pbx.books) if pbx.books else None,
    )


def asterisk(
    home: Path, *, name: str, host: str, port: int, user: str, secret: str, ari: tuple[str, str, str], journal_days: int = 7,
    books: Path | None = None,
) -> Callable[[str], PbxDriver]:  # fmt: skip
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
            books=books,
        )

    return make


async def provisioned(settings: Settings, name: str, into: Path) -> frozenset[str]:
    """Write the configuration of a PBX for including, and reload it where something changed; the names of the changed files.

    Live calls are not touched. Raises UnknownPbx, BadPlan for a row that can't stand in a configuration, PbxRefused.
    """
    pbx = next((one for one in settings.pbx if one.name == name), None)
    if pbx is None:
        raise UnknownPbx("The settings have no PBX called {name}.", name=name)
    around = Surroundings(
        manager=Login(user=pbx.ami_user, secret=pbx.ami_secret),
        ari=Login(user=pbx.ari_user, secret=pbx.ari_secret or pbx.ami_secret),
        trunks=(),
    )
    database = Database(settings.database.url)
    try:
        async with database.read() as db:
            pbx_id = (await db.execute(select(PbxRow.id).where(PbxRow.name == name))).scalar()
        if pbx_id is None:
            raise UnknownPbx("The database has no PBX called {name} yet: run lingxi once first.", name=name)
        plan = await plan_of(database, pbx_id, around)
    finally:
        await database.close()
    changed = write_atomically(plan, TEMPLATES, into)
    if changed and pbx.ari_url:
        await Ari(pbx.ari_url, pbx.ari_user, pbx.ari_secret).reload()
    return changed
