"""Hearing: each handler gets its own kind of event, from every unit and PBX, and nothing else."""

from __future__ import annotations

from crm_core.kernel.bus import MemoryBus
from cti.events import CallHeld, CallResumed, PhoneLost
from cti.services.hearing import hear
from cti.services.lines import topic


def test_a_handler_hears_its_kind_of_every_pbx_and_nothing_else() -> None:
    bus, heard = MemoryBus(), list[CallHeld]()
    hear(bus, CallHeld, heard.append)
    here, there = (CallHeld(unit_id=u, pbx_id=p, at=1.0, call_id=5, extension="8001") for u, p in ((1, 2), (3, 4)))
    others = (
        CallResumed(unit_id=1, pbx_id=2, at=1.0, call_id=5, extension="8001"),
        PhoneLost(unit_id=1, pbx_id=2, at=1.0, extension="8001"),
    )
    for event in (here, *others, there):
        bus.publish(topic(event), event)
    assert heard == [here, there]


def test_what_is_no_such_event_is_not_handed_on_whatever_its_topic() -> None:
    bus, heard = MemoryBus(), list[CallHeld]()
    hear(bus, CallHeld, heard.append)
    bus.publish("unit.1.pbx.2.call.held", object())
    assert heard == []


def test_nothing_is_heard_after_leaving() -> None:
    bus, heard = MemoryBus(), list[CallHeld]()
    leave = hear(bus, CallHeld, heard.append)
    leave()
    event = CallHeld(unit_id=1, pbx_id=2, at=1.0, call_id=5, extension="8001")
    bus.publish(topic(event), event)
    assert heard == []
