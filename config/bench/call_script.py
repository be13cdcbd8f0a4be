"""What an Asterisk says while a queue call is offered, answered and ended: bytes to be filled in, event for event.

Modelled on a recorded stream of Asterisk 22 for an account that reads system, call, agent and user; the events that the product has
no use for are here too, as it has to read past them. No socket and no clock.
"""

from __future__ import annotations

from typing import Final

_PARTY: Final = """\
Channel: {chan}
ChannelState: {state}
ChannelStateDesc: {desc}
CallerIDNum: {num}
CallerIDName: {name}
ConnectedLineNum: {cnum}
ConnectedLineName: {cname}
Language: en
AccountCode: 
Context: {ctx}
Exten: {exten}
Priority: 4
Uniqueid: {uid}
Linkedid: %(call)s
"""  # noqa: W291 - Asterisk ends an empty header so
_MEMBER: Final = """\
Queue: %(queue)s
MemberName: Agent %(seat)s
Interface: PJSIP/%(seat)s
StateInterface: PJSIP/%(seat)s
Membership: dynamic
Penalty: 0
CallsTaken: 0
LastCall: 0
LastPause: 0
LoginTime: 1795309340
InCall: 0
Status: {status}
Paused: {paused}
PausedReason: {reason}
Ringinuse: 0
Wrapuptime: 0
"""
_BRIDGE: Final = """\
BridgeUniqueid: %(bridge)s
BridgeType: basic
BridgeTechnology: simple_bridge
BridgeCreator: <unknown>
BridgeName: <unknown>
BridgeNumChannels: {channels}
BridgeVideoSourceMode: none
"""


def _caller(state: str = "6", desc: str = "Up") -> str:
    return _PARTY.format(
        chan="PJSIP/carrier-%(tail)s", state=state, desc=desc, num="%(number)s", name="%(name)s", cnum="<unknown>", cname="<unknown>",
        ctx="lingxi-in", exten="%(dialed)s", uid="%(call)s",
    )  # fmt: skip


def _seat(state: str, desc: str) -> str:
    return _PARTY.format(
        chan="PJSIP/%(seat)s-%(tail)s", state=state, desc=desc, num="%(seat)s", name="Agent %(seat)s", cnum="%(number)s", cname="%(name)s",
        ctx="lingxi-seats", exten="s", uid="%(leg)s",
    )  # fmt: skip


def _dest(state: str, desc: str) -> str:
    lines = _seat(state, desc).splitlines()
    return "".join(f"Dest{line}\n" for line in lines)


def _event(name: str, body: str, kind: str = "call") -> str:
    return f"Event: {name}\nPrivilege: {kind},all\nTimestamp: %(at).6f\nSystemName: bench\n{body}\n"


def _device(device: str, state: str) -> str:
    return _event("DeviceStateChange", f"Device: {device}\nState: {state}\n")


def _member(name: str, status: str, paused: str = "0", reason: str = "") -> str:
    return _event(name, _MEMBER.format(status=status, paused=paused, reason=reason), "agent")


def _bytes(*events: str) -> bytes:
    return "".join(events).replace("\n", "\r\n").encode()


ARRIVES: Final = _bytes(
    _event("Newchannel", _caller("4", "Ring")),
    _event("Newstate", _caller()),
    _device("PJSIP/carrier", "INUSE"),
    _event("MixMonitorStart", _caller()),
    _device("Queue:%(queue)s", "RINGING"),
    _event("QueueCallerJoin", _caller() + "Queue: %(queue)s\nPosition: 1\nCount: 1\n", "agent"),
    _event("MusicOnHoldStart", _caller() + "Class: default\n"),
)
"""The caller comes in, is answered by the PBX and begins to wait."""

OFFERED: Final = _bytes(
    _event("Newchannel", _seat("0", "Down")),
    _event(
        "AgentCalled",
        _caller() + _dest("0", "Down") + "Queue: %(queue)s\nInterface: PJSIP/%(seat)s\nMemberName: Agent %(seat)s\n",
        "agent",
    ),
    _event("DialBegin", _caller() + _dest("0", "Down") + "DialString: PJSIP/%(seat)s\n"),
    _event("NewConnectedLine", _caller()),
)
"""The queue calls a seat: what makes the pop."""

RINGS: Final = _bytes(
    _event("Newstate", _seat("5", "Ringing")),
    _event("NewConnectedLine", _seat("5", "Ringing")),
    _event("DialState", _caller() + _dest("5", "Ringing") + "DialStatus: RINGING\n"),
    _device("PJSIP/%(seat)s", "RINGING"),
    _member("QueueMemberStatus", "6"),
    _device("Queue:%(queue)s_avail", "INUSE"),
)
"""The seat's phone rings."""

ANSWERED: Final = _bytes(
    _event("Newstate", _seat("6", "Up")),
    _device("PJSIP/%(seat)s", "INUSE"),
    _member("QueueMemberStatus", "2"),
    _event("DialEnd", _caller() + _dest("6", "Up") + "DialStatus: ANSWER\n"),
    _event("MusicOnHoldStop", _caller()),
    _device("Queue:%(queue)s", "NOT_INUSE"),
    _event("QueueCallerLeave", _caller() + "Queue: %(queue)s\nPosition: 1\nCount: 0\n", "agent"),
    _event("AgentConnect", _caller() + _dest("6", "Up") + "Queue: %(queue)s\nInterface: PJSIP/%(seat)s\nMemberName: Agent %(seat)s\nHoldTime: 0\nRingTime: 0\n", "agent"),
    _event("BridgeCreate", _BRIDGE.format(channels=0)),
    _event("BridgeEnter", _BRIDGE.format(channels=1) + _seat("6", "Up")),
    _event("BridgeEnter", _BRIDGE.format(channels=2) + _caller()),
)  # fmt: skip
"""The agent picks up and the two are joined. The pause of the PBX's guard comes before it, once for each queue: `PAUSED`."""

ENDED: Final = _bytes(
    _event("HangupRequest", _caller()),
    _event("AgentComplete", _caller() + _dest("6", "Up") + "Queue: %(queue)s\nInterface: PJSIP/%(seat)s\nMemberName: Agent %(seat)s\nHoldTime: 0\nTalkTime: 4\nReason: caller\n", "agent"),
    _event("BridgeLeave", _BRIDGE.format(channels=1) + _caller()),
    _event("BridgeLeave", _BRIDGE.format(channels=0) + _seat("6", "Up")),
    _event("BridgeDestroy", _BRIDGE.format(channels=0)),
    _event("SoftHangupRequest", _caller() + "Cause: 16\n"),
    _event("Hangup", _seat("6", "Up") + "Cause: 16\nTechCause: 200\nCause-txt: Normal Clearing\n"),
    _event("Hangup", _caller() + "Cause: 16\nTechCause: 200\nCause-txt: Normal Clearing\n"),
    _device("PJSIP/%(seat)s", "NOT_INUSE"),
    _device("PJSIP/carrier", "NOT_INUSE"),
    _member("QueueMemberStatus", "1", "1", "WrapUp"),
    _device("Queue:%(queue)s_avail", "NOT_INUSE"),
)  # fmt: skip
"""The caller hangs up."""

PAUSED: Final = _bytes(
    _device("Queue:%(queue)s_pause_PJSIP/%(seat)s", "%(use)s"),
    _event("QueueMemberPause", _MEMBER.format(status="1", paused="%(paused)s", reason="%(reason)s"), "agent"),
)
"""A member was paused in a queue, or no longer is."""

ADDED: Final = _bytes(_event("QueueMemberAdded", _MEMBER.format(status="1", paused="%(paused)s", reason=""), "agent"))
"""A member was added to a queue."""

_RTCP: Final = """\
To: 127.0.0.1:28601
From: 127.0.0.1:24839
{rtt}MES: 88.1
SSRC: 0x07bf365f
PT: 200(SR)
ReportCount: 1
SentNTP: 1795309420.260062
SentRTP: 28832
SentPackets: 215
SentOctets: 34400
Report0SourceSSRC: 0xca110000
Report0FractionLost: 0
Report0CumulativeLost: 0
Report0HighestSequence: 250
Report0SequenceNumberCycles: 0
Report0IAJitter: 10
Report0LSR: 0
Report0DLSR: 0.0000
"""


def _step(application: str, data: str) -> str:
    return _event("Newexten", _caller() + f"Extension: %(dialed)s\nApplication: {application}\nAppData: {data}\n", "dialplan")


def _set(of: str, **values: str) -> str:
    return "".join(_event("VarSet", f"{of}Variable: {name}\nValue: {value}\n", "dialplan") for name, value in values.items())


def _rtcp(of: str) -> str:
    sent, received = _RTCP.format(rtt=""), _RTCP.format(rtt="RTT: 0.0000\n")
    return _event("RTCPSent", of + sent, "reporting") + _event("RTCPReceived", of + received, "reporting")


STEPS: Final = _bytes(
    *(_step(application, data) for application, data in (
        ("NoOp", "from %(number)s"), ("Set", "CHANNEL(language)=zh"), ("Set", "LINGXI_QUEUE=%(queue)s"), ("GotoIf", "0?closed,1"),
        ("Answer", ""), ("Playback", "silence/1"), ("MixMonitor", "%(call)s.raw"), ("Gosub", "queue,1(%(queue)s)"), ("Set", "QUEUE_PRIO=1"),
        ("Queue", "%(queue)s,tT,,,300"))),
    _set(_caller(), LINGXI_QUEUE="%(queue)s", MIXMONITOR_FILENAME="%(call)s.raw", QUEUE_PRIO="1", PLAYBACKSTATUS="SUCCESS", GOSUB_RETVAL="",
         ARGC="1", ARG1="%(queue)s", LOCAL_X="", RTPAUDIOQOS="", SIPCALLID="0123456789abcdef", CHANNEL_LANGUAGE="zh", QUEUESTATUS=""),
)  # fmt: skip
"""What the dialplan says while it brings the caller into the queue: nothing for the product, whose account does not read it."""

TAKEN: Final = _bytes(
    _set(_seat("6", "Up"), DIALEDPEERNAME="PJSIP/%(seat)s-%(tail)s", BRIDGEPEER="PJSIP/carrier-%(tail)s", BRIDGEPVTCALLID="fedcba9876543210", MEMBERINTERFACE="PJSIP/%(seat)s"),
    _set(_caller(), DIALEDPEERNUMBER="%(seat)s", BRIDGEPEER="PJSIP/%(seat)s-%(tail)s", QEHOLDTIME="3", QUEUEPOSITION="1"),
)  # fmt: skip
"""What it says when the agent has picked up."""

SOUND: Final = _bytes(_rtcp(_caller()), _rtcp(_seat("6", "Up")))
"""Reports on the sound of both legs, as they come every few seconds."""

CLOSED: Final = _bytes(
    _rtcp(_caller()), _set(_caller(), RTPAUDIOQOS="ssrc=1;themssrc=2;lp=0;rxjitter=0.001;txcount=750;rxcount=748;rtt=0.01", RTPAUDIOQOSRTT="minrtt=0.0;maxrtt=0.01",
         RTPAUDIOQOSLOSS="minrxlost=0;maxrxlost=0", BRIDGEPEER=""),
)  # fmt: skip
"""What it says when it is over."""

EVENTS_A_CALL: Final = sum(part.count(b"Event: ") for part in (ARRIVES, OFFERED, RINGS, ANSWERED, ENDED))


def fill(part: bytes, values: dict[bytes, object]) -> bytes:
    """The events of a part with a call's values: `at`, `call`, `leg`, `tail`, `seat`, `queue`, `number`, `name`, `dialed`, `bridge`."""
    return part % values
