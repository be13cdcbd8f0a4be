"""The wire: every event of the product survives the way there and back; strange versions are refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
import pytest

from crm_core.kernel.wire import UnknownOnWire, Wire
from cti.events import CallOffered, Direction


@dataclass(frozen=True, slots=True)
class LampLit:
    WIRE: ClassVar[str] = "lamp.lit"
    VERSION: ClassVar[int] = 3

    lamp_id: int
    colour: str


def test_an_event_comes_back_as_it_went() -> None:
    event = CallOffered(
        unit_id=1,
        pbx_id=2,
        at=1795309340.25,
        call_id=(1 << 62) + 1,
        offer_id=4,
        extension="8012",
        queue="sales",
        caller="",
        caller_name='"<script>" 王',
        direction=Direction.INBOUND,
        waited_s=None,
    )
    wire = Wire([CallOffered])
    name, version, body = wire.encode(event)
    assert (name, version) == ("call.offered", 1)
    assert wire.decode(name, version, orjson.loads(orjson.dumps(body))) == event


def test_an_older_version_is_brought_up_to_date() -> None:
    def colour(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "colour": "red"}

    def rename(body: dict[str, Any]) -> dict[str, Any]:
        return {"lamp_id": body["lamp"], **{k: v for k, v in body.items() if k != "lamp"}}

    wire = Wire([LampLit], {("lamp.lit", 1): rename, ("lamp.lit", 2): colour})
    assert wire.decode("lamp.lit", 1, {"lamp": 5}) == LampLit(5, "red")
    assert wire.decode("lamp.lit", 2, {"lamp_id": 5}) == LampLit(5, "red")


def test_what_is_not_known_is_refused_by_name() -> None:
    wire = Wire([LampLit])
    with pytest.raises(UnknownOnWire, match=r"no\.such"):
        wire.decode("no.such", 1, {})
    with pytest.raises(UnknownOnWire, match="version 4"):
        wire.decode("lamp.lit", 4, {"lamp_id": 1, "colour": "red"})
    with pytest.raises(UnknownOnWire, match="version 1"):
        wire.decode("lamp.lit", 1, {"lamp_id": 1, "colour": "red"})
    with pytest.raises(ValueError, match="lamp_id"):
        wire.decode("lamp.lit", 3, {"lamp_id": "x", "colour": "red"})
    with pytest.raises(UnknownOnWire, match="object"):
        wire.encode(object())


def test_two_events_cannot_share_a_name() -> None:
    @dataclass
    class Other:
        WIRE: ClassVar[str] = "lamp.lit"

    with pytest.raises(ValueError, match=r"lamp\.lit"):
        Wire([LampLit, Other])
    with pytest.raises(ValueError, match="WIRE"):
        Wire([int])
