"""Logs: sentences with identifiers, on standard error, for people or as JSON; secrets and whole phone numbers never
get through.

Set up once at the start. Masking happens here for every line, whoever wrote it, libraries and tracebacks included;
that is a net, not a licence: who logs names identifiers, not numbers. It is not the audit trail, which lives in the
database.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "***"

_SECRET_KEY = re.compile(r"secret|passw|pwd|token|cookie|authori[sz]ation|credential|api_?key|private_?key|csrf|digest", re.I)
_SECRET_WORDS = re.compile(
    r"((?:secret|passw(?:or)?d|pwd|token|cookie|authorization|api_?key)[\"']?\s*[=:]\s*(?:bearer\s+|basic\s+|digest\s+)?)"
    r"(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&\"']+)",
    re.I,
)
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)")
# A day, with or without its time, is no phone number. What else has seven digits, with single spaces or hyphens
# between, is one.
_DIGITS = re.compile(
    r"(?P<day>(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d)(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?!\d))?)"
    r"|(?P<number>\d(?:[ -]?\d){6,})"
)
_COUNTS = re.compile(r"(?:_ids?|_s|_ms|_at|bytes|count|epoch|seq|lost|waiting)$|^id$")
_PBX_ID = re.compile(r"(?:[\w.-]+-)?\d{10}\.\d{1,9}")  # Asterisk's Uniqueid: seconds, dot, number


def mask_numbers(text: str) -> str:
    """The text with the middle of every run of seven or more digits hidden: 138****1234."""
    return _DIGITS.sub(lambda found: found[0] if found["day"] else _mask(found["number"]), text)


def _mask(number: str) -> str:
    digits = [letter for letter in number if letter.isdigit()]
    count = len(digits)
    head, tail = min(3, (count - 4) // 2), min(4, (count - 3) // 2)
    return "".join(digits[:head]) + "****" + "".join(digits[count - tail :])


def mask_text(text: str) -> str:
    """The text without phone numbers, and without what follows words such as `secret=` or stands as a password in a
    URL.
    """
    return mask_numbers(_IN_URL.sub(rf"\1{HIDDEN}\2", _SECRET_WORDS.sub(rf"\1{HIDDEN}", text)))


def mask_value(key: str, value: Any) -> Any:
    """What may be logged under this key.

    Identifiers (keys that end in `_id`) stay whole; a phone number there does not.
    """
    if _SECRET_KEY.search(key) and not key.endswith("_id"):
        return HIDDEN if value else value
    if isinstance(value, bool | float | None):
        return value
    if isinstance(value, int):
        return value if _COUNTS.search(key) or abs(value) < 1_000_000 else _masked_int(value)
    if isinstance(value, Mapping):
        return {_key(name): mask_value(_key(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(key, item) for item in value]
    text = value if isinstance(value, str) else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if _is_identifier(key, text) else mask_text(text)


def _masked_int(value: int) -> int | str:
    text = str(value)
    masked = mask_numbers(text)
    return value if masked == text else masked


def _key(name: object) -> str:
    return mask_text(name if isinstance(name, str) else str(name))


def _is_identifier(key: str, text: str) -> bool:
    """Ours have 16 digits and more, phone numbers at most 15; the PBX's have a dot in them."""
    if not re.search(r"(?:^|_)ids?$", key):
        return False
    return (text.isascii() and text.isdigit() and 16 <= len(text) <= 19) or _PBX_ID.fullmatch(text) is not None


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor: every value of a line, the sentence itself and the traceback included."""
    return {key: mask_value(key, value) for key, value in event.items()}


def set_up(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Send all logs, those of libraries included, to `stream` (standard error).

    `form` is text, json, or auto: text at a terminal and json elsewhere. The least that is written is `level`;
    libraries are heard from warning on.
    """
    out = stream or sys.stderr
    terminal = out.isatty()
    as_text = form == "text" or (form == "auto" and terminal)
    render: Processor = structlog.dev.ConsoleRenderer(colors=terminal) if as_text else _json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render], foreign_pre_chain=shared
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("agent_console", "config", "crm_core", "cti", "recordings", "supervisor"):
        logging.getLogger(ours).setLevel(level.upper())
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=stream is None,
    )


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    first = {key: event.pop(key) for key in ("timestamp", "level", "event", "logger") if key in event}
    return orjson.dumps({**first, **event}, default=str).decode()
