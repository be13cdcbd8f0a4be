"""What we may ask of Asterisk, one typed action each, and how it is written on the wire.

No socket and no answer here. Encoding is the one gate to the PBX: a value that holds CR, LF or NUL could smuggle in a second
action, and a line longer than Asterisk's own buffer (1,025 bytes) would be cut into two; both are refused.
Header names: the action pages of the Asterisk documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Final

from crm_core.kernel.sentence import Trouble

LINE_LIMIT: Final = 900
_FORBIDDEN: Final = ("\r", "\n", "\0")


class Unspeakable(Trouble, ValueError):
    """A value can't be sent to the PBX. The sentence names the header, never the value: it may be a secret."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing asked of the PBX. Fields are headers; "" and () leave a header out."""

    NAME: ClassVar[str] = ""
    HEADERS: ClassVar[dict[str, str]] = {}  # field → header, where capitalising the words isn't enough


def encode(action: Action, action_id: str) -> bytes:
    """The action as it goes over the wire, `action_id` being echoed in all that answers it. Raises Unspeakable."""
    lines = [_line("Action", action.NAME), _line("ActionID", action_id)]
    for field in fields(action):
        header = action.HEADERS.get(field.name) or field.name.title().replace("_", "")
        value = getattr(action, field.name)
        if isinstance(value, tuple):
            if any("," in name + content for name, content in value):
                raise Unspeakable("{header} holds a comma, which would set a second variable.", header=header)
            lines += [_line(header, f"{name}={content}") for name, content in value]
        elif isinstance(value, bool):
            lines.append(_line(header, "true" if value else "false"))
        elif value != "":
            lines.append(_line(header, str(value)))
    return b"".join(lines) + b"\r\n"


def _line(header: str, value: str) -> bytes:
    if any(mark in value for mark in _FORBIDDEN):
        raise Unspeakable("{header} holds a line break or NUL, which can't be sent to the PBX.", header=header)
    try:
        line = f"{header}: {value}\r\n".encode()
    except UnicodeEncodeError as error:
        raise Unspeakable("{header} holds a character that UTF-8 can't carry.", header=header) from error
    if len(line) > LINE_LIMIT:
        raise Unspeakable("{header} is longer than {n} bytes, which the PBX would cut in two.", header=header, n=LINE_LIMIT)
    return line


# ------------------------------------------------------------------------------------------------------------ the link


@dataclass(frozen=True, slots=True)
class Login(Action):
    """Sign in. `events` is "off" or the classes wanted, joined by commas."""

    NAME: ClassVar[str] = "Login"
    username: str
    secret: str
    events: str


@dataclass(frozen=True, slots=True)
class Logoff(Action):
    """Sign out."""

    NAME: ClassVar[str] = "Logoff"


@dataclass(frozen=True, slots=True)
class Ping(Action):
    """Are you there? The answer carries the PBX's clock."""

    NAME: ClassVar[str] = "Ping"


@dataclass(frozen=True, slots=True)
class CoreStatus(Action):
    """When the PBX was started."""

    NAME: ClassVar[str] = "CoreStatus"


@dataclass(frozen=True, slots=True)
class CoreSettings(Action):
    """Which PBX this is: version and system name."""

    NAME: ClassVar[str] = "CoreSettings"


@dataclass(frozen=True, slots=True)
class ListCommands(Action):
    """Which actions this account may use."""

    NAME: ClassVar[str] = "ListCommands"


# -------------------------------------------------------------------------------------------------------------- queues


@dataclass(frozen=True, slots=True)
class QueueAdd(Action):
    """Let a phone take calls of a queue."""

    NAME: ClassVar[str] = "QueueAdd"
    queue: str
    interface: str
    member_name: str = ""
    state_interface: str = ""
    penalty: int = 0
    paused: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QueueRemove(Action):
    """Let a phone take no more calls of a queue."""

    NAME: ClassVar[str] = "QueueRemove"
    queue: str
    interface: str


@dataclass(frozen=True, slots=True)
class QueuePause(Action):
    """Offer no calls to a phone for now, or offer them again; in all its queues if none is named."""

    NAME: ClassVar[str] = "QueuePause"
    interface: str
    paused: bool
    queue: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QueuePenalty(Action):
    """Who comes first: lower is sooner."""

    NAME: ClassVar[str] = "QueuePenalty"
    interface: str
    penalty: int
    queue: str = ""


@dataclass(frozen=True, slots=True)
class QueueStatus(Action):
    """Members and waiting callers, of all queues if none is named."""

    NAME: ClassVar[str] = "QueueStatus"
    queue: str = ""


# -------------------------------------------------------------------------------------------------------- the present


@dataclass(frozen=True, slots=True)
class CoreShowChannels(Action):
    """Every leg alive."""

    NAME: ClassVar[str] = "CoreShowChannels"


@dataclass(frozen=True, slots=True)
class Status(Action):
    """Every leg alive with its seconds and some of its variables (names joined by commas)."""

    NAME: ClassVar[str] = "Status"
    variables: str = ""
    channel: str = ""
    all_variables: bool = False


@dataclass(frozen=True, slots=True)
class BridgeList(Action):
    """Every bridge alive."""

    NAME: ClassVar[str] = "BridgeList"


@dataclass(frozen=True, slots=True)
class DeviceStateList(Action):
    """The state of every device known."""

    NAME: ClassVar[str] = "DeviceStateList"


@dataclass(frozen=True, slots=True)
class PJSIPShowContacts(Action):
    """Every registered contact."""

    NAME: ClassVar[str] = "PJSIPShowContacts"


@dataclass(frozen=True, slots=True)
class Getvar(Action):
    """The value of a variable or a dialplan function; global if no channel is named."""

    NAME: ClassVar[str] = "Getvar"
    variable: str
    channel: str = ""


# --------------------------------------------------------------------------------------------------------------- doing


@dataclass(frozen=True, slots=True)
class Originate(Action):
    """Ring `channel`, then go on in the dialplan. `timeout` in milliseconds; `channel_id` becomes the leg's identifier."""

    NAME: ClassVar[str] = "Originate"
    HEADERS: ClassVar[dict[str, str]] = {"caller_id": "CallerID", "run_async": "Async"}
    channel: str
    context: str
    exten: str
    channel_id: str
    priority: int = 1
    timeout: int = 30_000
    caller_id: str = ""
    account: str = ""
    variable: tuple[tuple[str, str], ...] = ()
    earlymedia: str = ""
    run_async: bool = True


@dataclass(frozen=True, slots=True)
class Hangup(Action):
    """End a leg, named by its channel or its identifier. `cause` is Q.850."""

    NAME: ClassVar[str] = "Hangup"
    channel: str
    cause: int = 16


@dataclass(frozen=True, slots=True)
class Setvar(Action):
    """Set a variable, globally if no channel is named."""

    NAME: ClassVar[str] = "Setvar"
    variable: str
    value: str
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Reload(Action):
    """Read configuration again, of all modules if none is named."""

    NAME: ClassVar[str] = "Reload"
    module: str = ""


@dataclass(frozen=True, slots=True)
class MixMonitor(Action):
    """Begin to write the sound of a leg into `file`."""

    NAME: ClassVar[str] = "MixMonitor"
    HEADERS: ClassVar[dict[str, str]] = {"options": "options"}
    channel: str
    file: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class StopMixMonitor(Action):
    """Write no more."""

    NAME: ClassVar[str] = "StopMixMonitor"
    HEADERS: ClassVar[dict[str, str]] = {"monitor_id": "MixMonitorID"}
    channel: str
    monitor_id: str = ""
