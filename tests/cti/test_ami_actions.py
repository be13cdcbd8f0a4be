"""Actions on the wire: what is sent, and that no value of any header can become a second action."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.asterisk import ami_actions
from cti.pbx.asterisk.ami_actions import Action, Originate, QueuePause, Unspeakable, encode

ACTIONS = [
    kind for kind in vars(ami_actions).values() if isinstance(kind, type) and issubclass(kind, Action) and kind is not Action
]
BAD = ["a\rb", "a\nb", "a\0b", "a\r\n\r\nAction: Command\r\nCommand: core stop now", "x" * 901, "张" * 301, "\ud800"]


def sample(kind: type[Action], **changed: object) -> Action:
    values = {"str": "x", "int": 1, "bool": True, "tuple[tuple[str, str], ...]": (("A", "1"),)}
    fields = {field.name: values[str(field.type)] for field in dataclasses.fields(kind)}
    return kind(**(fields | changed))


SLOTS = [
    (kind, field.name)
    for kind in ACTIONS
    for field in dataclasses.fields(kind)
    if str(field.type) in ("str", "tuple[tuple[str, str], ...]")
]


@pytest.mark.parametrize(("kind", "slot"), SLOTS, ids=lambda part: part if isinstance(part, str) else part.NAME)
@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_no_slot_takes_what_could_break_out(kind: type[Action], slot: str, bad: str) -> None:
    if isinstance(getattr(sample(kind), slot), str):
        spoiled = [sample(kind, **{slot: bad})]
    else:
        spoiled = [sample(kind, **{slot: ((bad, "1"),)}), sample(kind, **{slot: (("A", bad),)})]
    for action in spoiled:
        with pytest.raises(Unspeakable) as refusal:
            encode(action, "1")
        assert bad not in str(refusal.value)
    with pytest.raises(Unspeakable):
        encode(sample(kind), bad)


@given(st.sampled_from(SLOTS), st.text(max_size=1200))
def test_whatever_is_said_stays_one_action_of_short_lines(slot: tuple[type[Action], str], text: str) -> None:
    kind, name = slot
    value = text if isinstance(getattr(sample(kind), name), str) else (("A", text),)
    try:
        line = encode(sample(kind, **{name: value}), "1")
    except Unspeakable:
        return
    assert line.startswith(b"Action: ")
    assert line.count(b"\r\n\r\n") == 1
    assert line.endswith(b"\r\n\r\n")
    assert b"\0" not in line
    assert all(len(one) <= ami_actions.LINE_LIMIT for one in line.split(b"\r\n"))
    assert sum(one.lower().startswith(b"action:") for one in line.split(b"\r\n")) == 1


def test_how_actions_are_written() -> None:
    originate = Originate(
        channel="PJSIP/8001", context="out", exten="0123", channel_id="c-1", caller_id="0123", variable=(("A", "1"), ("B", "2"))
    )
    assert encode(originate, "7").decode().split("\r\n") == [
        "Action: Originate",
        "ActionID: 7",
        "Channel: PJSIP/8001",
        "Context: out",
        "Exten: 0123",
        "ChannelId: c-1",
        "Priority: 1",
        "Timeout: 30000",
        "CallerID: 0123",
        "Variable: A=1",
        "Variable: B=2",
        "Async: true",
        "",
        "",
    ]
    assert encode(QueuePause(interface="PJSIP/8001", paused=False), "8") == (
        b"Action: QueuePause\r\nActionID: 8\r\nInterface: PJSIP/8001\r\nPaused: false\r\n\r\n"
    )


def test_a_comma_can_not_smuggle_in_a_second_variable() -> None:
    with pytest.raises(Unspeakable):
        encode(sample(Originate, variable=(("A", "1,SHELL=x"),)), "1")
