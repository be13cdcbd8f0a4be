"""What recordings say happened."""

from __future__ import annotations

from typing import ClassVar

from cti.events import CallEvent


class RecordingStored(CallEvent, frozen=True, kw_only=True, gc=False):
    """A call's recording was looked after: it is stored, or missing and `why`."""

    WIRE: ClassVar[str] = "recording.stored"
    stored: bool
    why: str
