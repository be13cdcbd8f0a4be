"""Where a scene is recorded: an Asterisk of its own with people around it, and the tape that keeps what its manager interface says.

The configuration is the product's own, rendered from a plan, with what the scenes need besides added behind it (parking, pick-up,
forwarding, voicemail, a menu). The tape is one manager connection with the rights of our own account; what is said over it is
written as it came, what we send as lines `> `, remarks as lines `# `.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from config.demo.asterisk_process import AsteriskProcess
from config.demo.asterisk_tree import AsteriskTree
from config.demo.callers import TRUNK_ADDRESS, Callers
from config.demo.sipp_process import take_ports
from cti.pbx.asterisk.provision import NumberPlan, PbxPlan, QueuePlan
from tests.lab.ami import Ami, Message
from tests.lab.asterisk_lab import MANAGER, desk_secret, lab_plan
from tests.lab.record_phone import ANSWERS, Habit, Phone, Talk

# One queue for each thing a scene wants of a line. Times are short, so that a scene takes seconds.
QUEUES: Final = (
    QueuePlan(name="support", title="技术支持", strategy="linear", ring_s=15),
    QueuePlan(name="sales", title="销售", strategy="linear", ring_s=15, record=False),
    QueuePlan(name="all", title="齐振", strategy="ringall", ring_s=2, max_wait_s=4, record=False),
    QueuePlan(name="short", title="短等", ring_s=2, max_wait_s=2, record=False),
    QueuePlan(name="narrow", title="一人", max_waiting=1, record=False),
    QueuePlan(name="deserted", title="无人", record=False),
)
NUMBERS: Final = {"8001": "support", "8002": "sales", "8003": "all", "8004": "short", "8005": "narrow", "8006": "deserted"}
MODULES: Final = ("res_adsi", "res_parking", "app_directed_pickup", "app_voicemail")

EXTENSIONS: Final = """
; ---- what the scenes dial from outside
[lingxi-in](+)
exten => 8101,1,Dial(PJSIP/1001,2)
 same => n,Hangup(${HANGUPCAUSE})
exten => 8102,1,Dial(Local/1001@lingxi-inside,20)
 same => n,Hangup(${HANGUPCAUSE})
exten => 8103,1,Answer(,i)
 same => n,Queue(short,i,,,2)
 same => n,Queue(sales,i,,,20)
 same => n,Hangup()
exten => 8104,1,Answer(,i)
 same => n,Queue(narrow,i)
 same => n,ExecIf($["${QUEUESTATUS}" = "FULL"]?UserEvent(QueueRefused,Queue: narrow,Reason: full))
 same => n,Hangup(17)
exten => 8105,1,Answer(,i)
 same => n,Queue(staffed,i)
 same => n,ExecIf($["${QUEUESTATUS}" = "JOINEMPTY" | "${QUEUESTATUS}" = "LEAVEEMPTY"]?UserEvent(QueueRefused,Queue: staffed,Reason: nobody))
 same => n,Hangup()
exten => 8106,1,Answer(,i)
 same => n,UserEvent(QueueRefused,Queue: support,Reason: closed)
 same => n,Playback(vm-goodbye)
 same => n,Hangup()
exten => 8107,1,Answer(,i)
 same => n,Queue(leavable,i)
 same => n,Hangup()
exten => 8108,1,Answer(,i)
 same => n,Queue(short,i,,,2)
 same => n,Goto(scene-voicemail,s,1)
exten => 8109,1,Answer(,i)
 same => n,Read(LX_CHOICE,demo-congrats,1,,1,5)
 same => n,GotoIf($["${LX_CHOICE}" = "1"]?lingxi-queue,sales,1)
 same => n,Hangup()
exten => 8110,1,Answer(,i)
 same => n,Queue(sales,itT)
 same => n,Hangup()
exten => 8111,1,Answer(,i)
 same => n,Queue(sales)
 same => n,Hangup()
exten => 8112,1,Dial(PJSIP/1001,20)
 same => n,Hangup(${HANGUPCAUSE})

[scene-voicemail]
exten => s,1,VoiceMail(1001@default,s)
 same => n,Hangup()
exten => h,1,ExecIf($["${VMSTATUS}" = "SUCCESS"]?UserEvent(Voicemail,Mailbox: 1001))

[scene-exits]
exten => 1,1,UserEvent(CallbackRequest,Number: ${CALLERID(num)})
 same => n,Hangup()
exten => 2,1,Playback(vm-goodbye)
 same => n,Hangup()

; ---- what the scenes dial from a seat
[lingxi-seats](+)
include => scene-parked
exten => 8201,1,Goto(lingxi-queue,sales,1)
exten => 6002,1,Dial(PJSIP/1002,2,i)
 same => n,Hangup(${HANGUPCAUSE})
exten => _*8X.,1,PickupChan(PJSIP/${EXTEN:2},p)
 same => n,Hangup()
"""

MORE: Final[Mapping[str, str]] = {
    "extensions.conf": EXTENSIONS,
    "modules.conf": "".join(f"load={module}.so\n" for module in MODULES),
    "queues.conf": """
[staffed]
strategy=linear
timeout=2
retry=1
joinempty=unavailable,paused
leavewhenempty=unavailable,paused

[deserted](+)
joinempty=unavailable,paused

[leavable]
strategy=linear
timeout=15
retry=1
joinempty=yes
context=scene-exits
""",
    "features.conf": "atxfer => *2\n\n[general](+)\natxfernoanswertimeout=2\natxferloopdelay=1\natxfercallbackretries=1\n",
    "res_parking.conf": """
[general]
[default]
parkext=700
parkpos=701-709
context=scene-parked
parkingtime=2
comebacktoorigin=yes
comebackdialtime=5
""",
    "voicemail.conf": "[general]\nformat=wav\nminsecs=1\nmaxsecs=20\nsilencethreshold=1\n\n[default]\n1001 => 4321,Desk 1001\n",
}


class SceneProcess(AsteriskProcess):
    """An Asterisk whose configuration files have the scenes' parts behind the product's own."""

    def configure(self, plan: PbxPlan | None = None) -> frozenset[str]:
        changed = super().configure(plan)
        for name, text in MORE.items():
            path = self.home / "etc" / name
            before = path.read_text() if path.exists() else ""
            if text not in before:
                path.write_text(before + text)
        return changed


def as_usual(text: bytes, home: Path) -> bytes:
    """The text with the folders of this machine told as those of an Asterisk installed as usual."""
    for folder, usual in (("spool", "/var/spool/asterisk"), ("data", "/usr/share/asterisk"), ("", "/var/lib/asterisk")):
        text = text.replace(str(home / folder).encode(), usual.encode())
    return text


class Tape(Ami):
    """A manager connection that keeps every byte it hears, with what it sends and what the scene remarks in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._kept: list[bytes] = []

    @classmethod
    async def connect(cls, address: str, port: int, user: str, secret: str) -> Self:
        made = cls(*await asyncio.open_connection(address, port, limit=1 << 20))
        made._kept.append(await made._reader.readline())
        made._task = asyncio.create_task(made._read())
        await made.action("Login", Username=user, Secret=secret)
        return made

    async def listing(self, name: str, **headers: str) -> list[Message]:
        shown = {key: "***" if key == "Secret" else value for key, value in headers.items()}
        lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in shown.items())]
        self._kept.append("".join(f"> {line}\r\n" for line in lines).encode())
        return await super().listing(name, **headers)

    def remark(self, text: str) -> None:
        """Write down what happens in the scene."""
        self._kept.append(f"# {text}\r\n".encode())

    def text(self, home: Path) -> bytes:
        """Everything kept so far, with neutral folders."""
        return as_usual(b"".join(self._kept), home)

    async def _read(self) -> None:
        raw: list[bytes] = []
        while line := await self._reader.readline():
            raw.append(line)
            if line not in (b"\r\n", b"\n"):
                continue
            self._kept += raw
            if len(raw) > 1:
                await self._take([one.decode(errors="replace").rstrip("\r\n") for one in raw[:-1]])
            raw = []


class Stage:
    """What a scene plays on."""

    def __init__(self, tree: AsteriskTree, home: Path) -> None:
        self._tree = tree
        self._outside_port = take_ports(TRUNK_ADDRESS, 2)
        plan = lab_plan(tree, home, self._outside_port)
        plan = replace(plan, queues=QUEUES, numbers=tuple(NumberPlan(number=n, queue=q) for n, q in NUMBERS.items()))
        self.process = SceneProcess(plan, tree)
        self._pbx = (self.process.own.address, self.process.own.ports.sip)
        self.callers = Callers(tree, self._pbx, home / "work")
        self._phones: list[Phone] = []
        self.ami: Tape

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """The Asterisk runs and the tape with it."""
        (self.process.home / "work").mkdir(parents=True, exist_ok=True)
        await self.process.start()
        try:
            self.ami = await Tape.connect(self._pbx[0], self.process.own.ports.ami, MANAGER.user, MANAGER.secret)
            yield self
            await self.ami.close()
        finally:
            for phone in self._phones:
                phone.close()
            await self.process.stop()

    def book(self, name: Path) -> bytes:
        """The whole rows of one of the PBX's books, which began with the scene; nothing where nothing was written."""
        path = self.process.books / name
        text = path.read_bytes() if path.exists() else b""
        return as_usual(text[: text.rfind(b"\n") + 1], self.process.home)

    # ---------------------------------------------------------------------------------------------------- the people

    async def seat(self, extension: str, habit: Habit = ANSWERS, *queues: str, interface: str = "") -> Phone:
        """A seat's phone, registered, taking calls of these queues."""
        phone = await self._line(extension, "127.0.0.1", take_ports("127.0.0.1", 2), desk_secret(extension), habit)
        for queue in queues:
            reached = interface or f"PJSIP/{extension}"
            await self.ami.action(
                "QueueAdd", Queue=queue, Interface=reached, MemberName=f"Desk {extension}", StateInterface=f"PJSIP/{extension}"
            )
        return phone

    async def outside(self, habit: Habit = ANSWERS) -> Phone:
        """Whoever is called over the trunk."""
        return await self._line("outside", TRUNK_ADDRESS, self._outside_port, "", habit)

    async def caller(self, number: str, *, who: str = "13900000001") -> Talk:
        """Somebody outside calls a number of ours and is answered, by a line or by a person."""
        return await (await self.calling(number, who=who)).up()

    async def calling(self, number: str, *, who: str = "13900000001") -> Talk:
        """Somebody outside begins to call a number of ours."""
        phone = await self._line(who, TRUNK_ADDRESS, take_ports(TRUNK_ADDRESS, 2), "", ANSWERS)
        return await phone.call(number, "Maria Schmidt")

    async def _line(self, user: str, address: str, port: int, secret: str, habit: Habit) -> Phone:
        phone = await Phone(user, self._pbx, secret, habit).start((address, port))
        self._phones.append(phone)
        return phone

    # ---------------------------------------------------------------------------------------------------- the director

    def remark(self, text: str) -> None:
        self.ami.remark(text)

    async def leg(self, endpoint: str, after: str = "") -> str:
        """The channel of an endpoint that was made last, once there is one; not the one named `after`."""
        async with asyncio.timeout(15):
            while True:
                begun = [m["Channel"] for m in self.ami.named("Newchannel") if m["Channel"].startswith(f"PJSIP/{endpoint}-")]
                if begun and begun[-1] != after:
                    return begun[-1]
                await asyncio.sleep(0.02)

    async def heard(self, event: str, timeout: float = 15, **fields: str) -> Message:
        """Wait for an event, or take the one that came already."""
        return await self.ami.wait(event, timeout, 0, **fields)

    async def rings(self, endpoint: str) -> None:
        """Wait until the endpoint's last leg rings."""
        await self.heard("Newstate", Channel=await self.leg(endpoint), ChannelState="5")

    async def answered(self, endpoint: str, after: str = "") -> None:
        """Wait until the endpoint's last leg is in a bridge."""
        await self.heard("BridgeEnter", Channel=await self.leg(endpoint, after))

    async def over(self, timeout: float = 20) -> None:
        """Wait until every channel is gone."""
        async with asyncio.timeout(timeout):
            while self._alive():
                await asyncio.sleep(0.05)

    def _alive(self) -> set[str]:
        alive = {m["Uniqueid"] for m in self.ami.events if m.get("Event") == "Newchannel"}
        return alive - {m["Uniqueid"] for m in self.ami.events if m.get("Event") == "Hangup"}
