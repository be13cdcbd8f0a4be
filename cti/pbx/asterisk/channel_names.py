"""Who is behind a channel: reading Asterisk's channel, interface and dial strings.

Pure text work. Which endpoint names are seats is not known here: the caller says so with `ExtensionOf`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cti.pbx_events import Endpoint, Party

# The extension behind an endpoint's name, or None if the endpoint is no seat's.
ExtensionOf = Callable[[str], str | None]

# Technologies that lead to someone outside Asterisk's own machinery.
_OUTWARD: Final = frozenset({"PJSIP", "SIP", "IAX2", "DAHDI", "Dongle", "Motif", "WebSocket", "AudioSocket", "USTM", "SCCP"})
_WITHHELD: Final = frozenset({"", "<unknown>", "unknown", "anonymous", "restricted", "private", "unavailable", "withheld"})


def digits_are_seats(name: str) -> str | None:
    """The default rule: an endpoint with an all-digit name is the seat with that extension."""
    return name if name.isdigit() else None


def endpoint_of(channel: str, extension_of: ExtensionOf) -> Endpoint:
    """The party of a channel such as `PJSIP/8001-0000000a`, `SIP/trunk-1a2b` or `Local/8001@ring-00000001;1`."""
    technology, _, rest = channel.partition("/")
    if technology not in _OUTWARD:
        return Endpoint(party=Party.SYSTEM, name=rest.partition("@")[0])
    name = rest.rpartition("-")[0] or rest
    extension = extension_of(name)
    if extension is not None:
        return Endpoint(party=Party.SEAT, name=extension)
    return Endpoint(party=Party.TRUNK, name=name)


def extension_at(interface: str, extension_of: ExtensionOf) -> str:
    """The extension of a queue member's interface: `PJSIP/8001`, `Local/8001@ring/n`, `SIP/8001`."""
    name = interface.partition("/")[2].partition("@")[0].partition("/")[0]
    return extension_of(name) or name


def dialed_number(dial_string: str) -> str:
    """The number in what was given to Dial.

    Forms: `0202111@trunk`, `PJSIP/0202111@trunk`, `trunk/0202111` and `PJSIP/trunk/sip:0202111@host`.
    """
    number = dial_string.rpartition("/")[2].partition("@")[0]
    return number.removeprefix("sip:").removeprefix("sips:")


def shown(text: str) -> str:
    """A caller's number or name as the PBX sent it, "" where it was withheld."""
    return "" if text.lower() in _WITHHELD else text
