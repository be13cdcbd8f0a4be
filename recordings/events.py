"""What recordings say happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cti.events import CallEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStored(CallEvent):
    """A call's recording was looked after: it is stored, or missing and `why`."""

    WIRE: ClassVar[str] = "recording.stored"
    stored: bool
    why: str
