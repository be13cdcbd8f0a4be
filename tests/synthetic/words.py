"""What an Asterisk 22 says, header by header: the text of its manager events and lists, as recorded from a real one.

Pure text from the state of the floor; nothing here decides anything, and nothing here is compared with what the product reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.synthetic.floor import Bridge, Channel, Member, Queue

LINE: Final = "\r\n"
STATES: Final = {0: "Down", 4: "Ring", 5: "Ringing", 6: "Up"}
CAUSES: Final = {
    0: "Unknown", 1: "Unallocated (unassigned) number", 16: "Normal Clearing", 17: "User busy", 19: "User alerting, no answer",
    21: "Call Rejected",
}  # fmt: skip


def party(c: Channel, prefix: str = "") -> str:
    """The snapshot of a channel that stands in nearly every event."""
    p = prefix
    return (
        f"{p}Channel: {c.name}\r\n{p}ChannelState: {c.state}\r\n{p}ChannelStateDesc: {STATES[c.state]}\r\n"
        f"{p}CallerIDNum: {c.number}\r\n{p}CallerIDName: {c.caller}\r\n"
        f"{p}ConnectedLineNum: {c.other_number}\r\n{p}ConnectedLineName: {c.other}\r\n"
        f"{p}Language: en\r\n{p}AccountCode: \r\n{p}Context: {c.context}\r\n{p}Exten: {c.exten}\r\n{p}Priority: {c.priority}\r\n"
        f"{p}Uniqueid: {c.uniqueid}\r\n{p}Linkedid: {c.linkedid}\r\n"
    )


def bridge(b: Bridge) -> str:
    """The snapshot of a bridge."""
    return (
        f"BridgeUniqueid: {b.uniqueid}\r\nBridgeType: basic\r\nBridgeTechnology: simple_bridge\r\nBridgeCreator: <unknown>\r\n"
        f"BridgeName: <unknown>\r\nBridgeNumChannels: {len(b.channels)}\r\nBridgeVideoSourceMode: none\r\n"
    )


def member(q: Queue, m: Member, status: int) -> str:
    """The snapshot of a queue's member."""
    return (
        f"Queue: {q.name}\r\nMemberName: {m.name}\r\nInterface: PJSIP/{m.seat}\r\nStateInterface: PJSIP/{m.seat}\r\n"
        f"Membership: dynamic\r\nPenalty: {m.penalty}\r\nCallsTaken: {m.taken}\r\nLastCall: {int(m.last_call)}\r\n"
        f"LastPause: {int(m.last_pause)}\r\nLoginTime: {int(m.since)}\r\nInCall: 0\r\nStatus: {status}\r\nPaused: {int(m.paused)}\r\n"
        f"PausedReason: {m.reason}\r\nRinginuse: 0\r\nWrapuptime: 0\r\n"
    )


def offered(q: Queue, m: Member) -> str:
    """Which member of which queue is spoken of."""
    return f"Queue: {q.name}\r\nInterface: PJSIP/{m.seat}\r\nMemberName: {m.name}\r\n"


def cause(number: int, technical: int = 0) -> str:
    """Why a channel ended; `technical` is the SIP status where there was one."""
    return f"Cause: {number}\r\nCause-txt: {CAUSES[number]}\r\n" + (f"TechCause: {technical}\r\n" if technical else "")


def event(name: str, kind: str, at: float, system: str, body: str) -> str:
    """A whole event; `kind` is the class by which accounts choose what they hear."""
    return f"Event: {name}\r\nPrivilege: {kind},all\r\nTimestamp: {at:.6f}\r\nSystemName: {system}\r\n{body}\r\n"


# ------------------------------------------------------------------------------------------------------------- answers


def answer(action_id: str, *lines: str, good: bool = True) -> str:
    """The response to an action."""
    head = f"Response: {'Success' if good else 'Error'}\r\n" + (f"ActionID: {action_id}\r\n" if action_id else "")
    return head + "".join(f"{line}\r\n" for line in lines) + LINE


def listing(action_id: str, name: str, said: str, items: list[str], *, twice: bool = False) -> str:
    """The response to an action that asks for a list, and the list. `twice`: Status counts its items in two ways."""
    of = f"ActionID: {action_id}\r\n"
    count = f"ListItems: {len(items)}\r\n" + (f"Items: {len(items)}\r\n" if twice else "")
    return (
        answer(action_id, "EventList: start", f"Message: {said}")
        + "".join(f"{item}{of}\r\n" for item in items)
        + f"Event: {name}Complete\r\n{of}EventList: Complete\r\n{count}\r\n"
    )


def status(c: Channel, seconds: int) -> str:
    """A channel in the list of Status."""
    in_bridge = c.bridge.uniqueid if c.bridge else ""
    return (
        f"Event: Status\r\nPrivilege: Call\r\n{party(c)}Type: PJSIP\r\nDNID: {c.dialed}\r\n"
        f"EffectiveConnectedLineNum: {c.other_number}\r\nEffectiveConnectedLineName: {c.other}\r\nTimeToHangup: 0\r\n"
        f"BridgeID: {in_bridge}\r\nApplication: {c.application}\r\nData: {c.data}\r\nNativeformats: (ulaw)\r\nReadformat: ulaw\r\n"
        f"Readtrans: \r\nWriteformat: ulaw\r\nWritetrans: \r\nCallgroup: 0\r\nPickupgroup: 0\r\nSeconds: {seconds}\r\n"
    )


def shown_channel(c: Channel, seconds: int) -> str:
    """A channel in the list of CoreShowChannels."""
    lasted = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
    return (
        f"Event: CoreShowChannel\r\n{party(c)}Application: {c.application}\r\nApplicationData: {c.data}\r\nDuration: {lasted}\r\n"
        f"BridgeId: {c.bridge.uniqueid if c.bridge else ''}\r\n"
    )


def bridge_item(b: Bridge) -> str:
    """A bridge in the list of BridgeList."""
    return f"Event: BridgeListItem\r\n{bridge(b)}"


def queue_item(q: Queue) -> str:
    """A queue in the list of QueueStatus."""
    return (
        f"Event: QueueParams\r\nQueue: {q.name}\r\nMax: 0\r\nStrategy: rrmemory\r\nCalls: {len(q.waiting)}\r\nHoldtime: 0\r\n"
        "TalkTime: 0\r\nCompleted: 0\r\nAbandoned: 0\r\nServiceLevel: 20\r\nServicelevelPerf: 0.0\r\nServicelevelPerf2: 0.0\r\nWeight: 0\r\n"
    )


def member_item(q: Queue, m: Member, state: int, in_call: bool) -> str:
    """A member in the list of QueueStatus."""
    return (
        f"Event: QueueMember\r\nQueue: {q.name}\r\nName: {m.name}\r\nLocation: PJSIP/{m.seat}\r\nStateInterface: PJSIP/{m.seat}\r\n"
        f"Membership: dynamic\r\nPenalty: {m.penalty}\r\nCallsTaken: {m.taken}\r\nLastCall: {int(m.last_call)}\r\n"
        f"LastPause: {int(m.last_pause)}\r\nLoginTime: {int(m.since)}\r\nInCall: {int(in_call)}\r\nStatus: {state}\r\n"
        f"Paused: {int(m.paused)}\r\nPausedReason: {m.reason}\r\nWrapuptime: 0\r\n"
    )


def waiting_item(q: Queue, position: int, c: Channel, wait: int) -> str:
    """Somebody who waits, in the list of QueueStatus."""
    return (
        f"Event: QueueEntry\r\nQueue: {q.name}\r\nPosition: {position}\r\nChannel: {c.name}\r\nUniqueid: {c.uniqueid}\r\n"
        f"CallerIDNum: {c.number}\r\nCallerIDName: {c.caller}\r\nConnectedLineNum: {c.other_number.strip('<>')}\r\n"
        f"ConnectedLineName: {c.other.strip('<>')}\r\nWait: {wait}\r\nPriority: 0\r\n"
    )


def device_item(device: str, state: str) -> str:
    """A device in the list of DeviceStateList."""
    return f"Event: DeviceStateChange\r\nDevice: {device}\r\nState: {state}\r\n"
