"""A real Asterisk for tests, with callers and phones around it.

`asterisk_lab` is one Asterisk for the whole test session: tests share it, so they add the queue members they need, take them away
again, and never restart it. `private_lab` gives a test an Asterisk of its own to stop and kill. Both skip where no Asterisk or
SIPp can be had, and fail instead when LINGXI_REQUIRE_PEERS=1. Nothing here knows the product's driver.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from config.demo.asterisk_process import AsteriskProcess, own_plan
from config.demo.asterisk_tree import AsteriskMissing, AsteriskTree, obtain_tree
from config.demo.callers import TRUNK_ADDRESS, Callers
from config.demo.phones import Habit, OutsidePhones, PhoneGroup
from config.demo.sipp_process import take_ports
from config.demo.sounds import tone, write_wav
from cti.pbx.asterisk.provision import Login, NumberPlan, OutgoingPlan, PbxPlan, QueuePlan, Seat, TrunkPlan
from tests.lab.ami import Ami

DESKS: Final = tuple(str(number) for number in range(1001, 1041))
BROWSERS: Final = tuple(str(number) for number in range(2001, 2011))
MANAGER: Final = Login(user="lingxi", secret="lab-manager-secret")
ARI: Final = Login(user="lingxi-ari", secret="lab-ari-secret")
# Dialled number -> queue; what the queues differ in is said in `lab_queues`.
NUMBERS: Final = {"8001": "support", "8002": "sales", "8003": "short", "8004": "silent"}


def desk_secret(extension: str) -> str:
    return f"desk-{extension}-secret"


def lab_queues() -> tuple[QueuePlan, ...]:
    return (
        QueuePlan(name="support", title="技术支持", strategy="rrmemory", ring_s=15),
        QueuePlan(name="sales", title="销售", strategy="rrmemory", ring_s=15),
        QueuePlan(name="short", title="短等", ring_s=2, max_wait_s=3, record=False),
        QueuePlan(name="silent", title="不录音", ring_s=15, record=False),
    )


def lab_plan(tree: AsteriskTree, home: Path, outside_port: int, name: str = "lab") -> PbxPlan:
    desks = tuple(Seat(extension=e, name=f"Desk {e}", browser=False, secret=desk_secret(e)) for e in DESKS)
    browsers = tuple(Seat(extension=e, name=f"Browser {e}", browser=True) for e in BROWSERS)
    return PbxPlan(
        name=name,
        manager=MANAGER,
        ari=ARI,
        seats=desks + browsers,
        queues=lab_queues(),
        numbers=tuple(NumberPlan(number=number, queue=queue) for number, queue in NUMBERS.items()),
        trunks=(
            TrunkPlan(name="carrier", matches=(TRUNK_ADDRESS,), contact=f"sip:{TRUNK_ADDRESS}:{outside_port}", codecs="ulaw,alaw"),
        ),
        outgoing=OutgoingPlan(trunk="carrier", prefix="9", caller_id="02150000000"),
        own=own_plan(tree, home),
        two_channel=tree.two_channel,
    )


class AsteriskLab:
    """An Asterisk that runs, and the means to call it. `callers` come over the trunk; `phones` registers seats of DESKS."""

    def __init__(self, tree: AsteriskTree, home: Path) -> None:
        self.tree = tree
        self.work = home / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.outside_port = take_ports(TRUNK_ADDRESS, 2)
        self.plan = lab_plan(tree, home, self.outside_port)
        self.process = AsteriskProcess(self.plan, tree)
        self.ports = self.process.own.ports
        self.address = (self.process.own.address, self.ports.sip)
        self.callers = Callers(tree, self.address, self.work)

    def phones(self, extensions: Sequence[str], habit: Habit) -> PhoneGroup:
        """A group of desk phones, not yet started."""
        return PhoneGroup(self.tree, self.address, self.work, [(e, desk_secret(e)) for e in extensions], habit)

    def outside(self, habit: Habit) -> OutsidePhones:
        """Whoever is called over the trunk, not yet started."""
        return OutsidePhones(self.tree, self.address, self.work, (TRUNK_ADDRESS, self.outside_port), habit)

    async def ami(self) -> Ami:
        return await Ami.connect(self.process.own.address, self.ports.ami, MANAGER.user, MANAGER.secret)

    def tone_file(self, hertz: int) -> Path:
        """Three seconds of a tone as a WAV file."""
        path = self.work / f"tone-{hertz}.wav"
        return path if path.exists() else write_wav(path, tone(hertz, 3))

    @property
    def ari_address(self) -> str:
        return f"http://{self.process.own.address}:{self.ports.http}/ari"


def peers_or_skip() -> AsteriskTree:
    """The Asterisk to test with, SIPp included; otherwise the test is skipped, or fails where peers are required."""
    root = Path(__file__).resolve().parents[2]
    try:
        tree = obtain_tree(Path(os.environ.get("LINGXI_HOME", root / "var")), lambda line: None)
        tree.sipp()
    except AsteriskMissing as missing:
        if os.environ.get("LINGXI_REQUIRE_PEERS") == "1":
            pytest.fail(f"A real Asterisk is required here: {missing}", pytrace=False)
        pytest.skip(f"no real Asterisk: {missing}")
    return tree


@pytest.fixture(scope="session")
def asterisk_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AsteriskLab]:
    """One Asterisk for all tests of the session."""
    lab = AsteriskLab(peers_or_skip(), tmp_path_factory.mktemp("pbx"))
    with asyncio.Runner() as runner:
        runner.run(lab.process.start())
        yield lab
        runner.run(lab.process.stop())


@pytest_asyncio.fixture
async def private_lab(tmp_path: Path) -> AsyncIterator[AsteriskLab]:
    """An Asterisk for one test, which may stop it."""
    lab = AsteriskLab(peers_or_skip(), tmp_path)
    await lab.process.start()
    yield lab
    await lab.process.stop()


@asynccontextmanager
async def members(ami: Ami, queue: str, extensions: Sequence[str]) -> AsyncIterator[None]:
    """These seats take calls of the queue for as long as the block runs."""
    for extension in extensions:
        await ami.action("QueueAdd", Queue=queue, Interface=f"PJSIP/{extension}", MemberName=f"Desk {extension}")
    try:
        yield
    finally:
        for extension in extensions:
            await ami.action("QueueRemove", Queue=queue, Interface=f"PJSIP/{extension}")
