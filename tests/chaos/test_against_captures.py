"""The synthetic PBX says what the real one said: for each recorded scenario the same events in the same order about the same parties.

Compared are the events the product reads, with the headers it reads of them, after identifiers, times and names were replaced by
roles. What the product reads is written down here a second time, on purpose.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthetic.exchange import Exchange
from tests.synthetic.floor import Queue
from tests.synthetic.plans import ANSWER, HOLD, IGNORE, PASS_ON, PBX, REJECT, SEAT, TALK, Part, Plan, Ring

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
READ = {
    "Newchannel": "Channel ChannelState CallerIDNum CallerIDName Exten Uniqueid Linkedid",
    "Newstate": "ChannelState Uniqueid Linkedid",
    "NewCallerid": "Channel CallerIDNum CallerIDName Uniqueid",
    "DialBegin": "Uniqueid DestChannel DestUniqueid DialString",
    "BridgeEnter": "BridgeTechnology BridgeUniqueid Uniqueid Linkedid",
    "BridgeLeave": "BridgeTechnology BridgeUniqueid Uniqueid",
    "Hold": "Uniqueid",
    "Unhold": "Uniqueid",
    "Hangup": "Uniqueid Cause TechCause",
    "HangupRequest": "Uniqueid",
    "QueueCallerJoin": "Uniqueid Queue Position",
    "QueueCallerAbandon": "Uniqueid Queue",
    "QueueCallerLeave": "Uniqueid Queue",
    "AgentCalled": "Uniqueid DestUniqueid Queue Interface",
    "AgentConnect": "Uniqueid DestUniqueid Queue Interface",
    "AgentRingNoAnswer": "Uniqueid DestUniqueid Queue Interface",
    "BlindTransfer": "Result TransfererUniqueid TransfereeUniqueid Extension",
    "MixMonitorStart": "Uniqueid File",
    "UserEvent": "UserEvent Uniqueid",
}
NUMBER = "4930111"
INBOUND = Plan(kind="answered", number=NUMBER, name="Maria Schmidt", dialed="5001", queue="support")


GIVES_UP = replace(INBOUND, kind="abandoned", patience_s=2.5, notes=True)
SECOND = Ring(ANSWER, 0.01)
SCENES = {
    "01-inbound-answered": INBOUND,
    "01b-inbound-agent-hangup-survey": replace(INBOUND, ends=SEAT),
    "02-abandoned": replace(GIVES_UP, queue="empty"),
    "02b-abandoned-while-ringing": replace(GIVES_UP, rings=(Ring(IGNORE),)),
    "02c-queue-timeout-callback-request": replace(INBOUND, dialed="5004", queue="empty", presses="callback"),
    "03-ring-no-answer-then-second-agent": replace(INBOUND, rings=(Ring(IGNORE), SECOND), ends=PBX),
    "03b-agent-rejects-486": replace(INBOUND, rings=(Ring(REJECT, 0.6), SECOND), ends=PBX),
    "04b-blind-transfer-ami": replace(INBOUND, to_seat="1002", parts=(Part(TALK, 1.5), Part(PASS_ON, 0.01), Part(TALK, 4.5))),
    "06-hold-unhold": replace(INBOUND, parts=(Part(TALK, 1.0), Part(HOLD, 1.3), Part(TALK, 3.7))),
    "07-click-to-dial": Plan(kind="outgoing", number="0202111222", name="Click 0202111222", seat="1001", ends=SEAT),
}


def events(text: str) -> Iterable[tuple[str, dict[str, str]]]:
    """The events of a stream."""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.partition(": ") for line in block.split("\n") if ": " in line and not line.startswith(("> ", "# "))]
        found = {key: value for key, _, value in reversed(lines)}
        if "Event" in found:
            yield found["Event"], found


class Roles:
    """Gives identifiers and names the names of what they are."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def learn(self, headers: dict[str, str]) -> None:
        """A channel came to be."""
        kind = "outside" if "carrier" in headers["Channel"] else "seat"
        number = 1 + sum(name.startswith(kind) for name in self._known.values())
        self._known[headers["Uniqueid"]] = f"{kind}{number}"

    def say(self, key: str, value: str) -> str:
        """The value of a header as it is compared."""
        if key.endswith(("Uniqueid", "Linkedid")):
            if key == "BridgeUniqueid":
                return self._known.setdefault(value, f"bridge{1 + sum(n.startswith('bridge') for n in self._known.values())}")
            return self._known.get(value, value)
        return value.rpartition("-")[0] if key.endswith("Channel") else value


def told(text: str) -> list[str]:
    """A stream as lines to compare."""
    roles, lines = Roles(), list[str]()
    for name, headers in events(text):
        if name not in READ:
            continue
        if name == "Newchannel":
            roles.learn(headers)
        lines.append(" ".join([name, *(f"{key}={roles.say(key, headers[key])}" for key in READ[name].split() if key in headers)]))
    return lines


def recorded(name: str) -> str:
    """A stream, without what its own dialplan asked the caller after the conversation."""
    blocks = (CAPTURES / f"{name}.ami").read_text().split("\n\n")
    return "\n\n".join(block for block in blocks if "UserEvent: Survey" not in block)


def played(plan: Plan) -> str:
    """What the synthetic PBX says of this call."""
    said: list[str] = []
    queues = [Queue(name="support", ring_s=6.0, max_wait_s=60.0), Queue(name="empty", max_wait_s=5.0)]
    pbx = Exchange(
        lambda _kind, text, _key: said.append(text), lambda _line: None, start=1_795_309_340.0, system="lab", queues=queues, phones=["1001", "1002"]
    )  # fmt: skip
    for seat in ("1001", "1002"):
        pbx.actions.carry_out(
            {"Action": "QueueAdd", "Queue": "support", "Interface": f"PJSIP/{seat}", "MemberName": f"Agent {seat}"}
        )
    pbx.place(plan)
    pbx.work.run(1_795_309_340.0 + 3600)
    return "".join(said).replace("Queue: empty\r\n", "Queue: support\r\n")


@pytest.mark.parametrize("name", SCENES)
def test_it_says_what_the_real_one_said(name: str) -> None:
    real = told(recorded(name))
    ours = told(played(SCENES[name]))
    if real != ours:
        pytest.fail(
            "\n".join(difflib.unified_diff(real, ours, "the real Asterisk", "the synthetic one", lineterm="", n=2)), pytrace=False
        )
