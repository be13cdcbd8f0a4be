"""Logs: no secret and no whole phone number gets through by any way in; identifiers do."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logs import mask_numbers, mask_text, mask_value, set_up
from crm_core.kernel.clock import SystemClock
from crm_core.kernel.ids import IdMaker


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up("debug", "json", stream)
    yield stream
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


# -------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("13812341234", "138****1234"),
        ("+8613812341234", "+861****1234"),
        ("138 1234 1234", "138****1234"),
        ("0571-8812-3456", "057****3456"),
        ("from 88123456 to 8012", "from 88****56 to 8012"),
        ("8812345", "8****45"),
        ("881234", "881234"),
        ("１３８１２３４１２３４", "１３８****１２３４"),
        ("on 2026-11-22 02:52:56.123456 at 192.168.100.200:8600", "on 2026-11-22 02:52:56.123456 at 192.168.100.200:8600"),
        ("2026-11-22 13812341234", "2026-11-22 138****1234"),
        ("sip:13812341234@192.168.1.1", "sip:138****1234@192.168.1.1"),
    ],
)
def test_the_middle_of_a_number_is_hidden(text: str, masked: str) -> None:
    assert mask_numbers(text) == masked


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.from_regex(r"\A\+?[0-9]{1,20}\Z"), st.sampled_from(["-", " ", "2026-11-22", "=", "\n"]))
    )
)
def test_no_run_of_seven_digits_is_left_in_any_text(parts: list[str]) -> None:
    assert not re.search(r"\d{7}", mask_numbers("".join(parts)))


@given(st.from_regex(r"\A1[0-9]{10}\Z"), st.sampled_from(["{}", "<{}>", "caller={}", "tel:+86{}", "{0} and {0}", "“{}”"]))
def test_a_mobile_number_is_not_to_be_read_however_it_stands(number: str, frame: str) -> None:
    shown = mask_text(frame.format(number))
    assert number not in shown
    assert number[3:7] not in re.sub(re.escape(number[:3]) + "|" + re.escape(number[7:]), "", shown) or "****" in shown


@given(st.from_regex(r"\A[0-9]{7,15}\Z"), st.sampled_from(["number", "caller", "caller_id", "who", "text"]))
def test_a_number_is_hidden_under_any_key(number: str, key: str) -> None:
    for value in (number, f"+{number}", [number], {"deep": {key: number}}, {number: "x"}, number.encode()):
        assert number not in orjson.dumps(mask_value(key, value)).decode()


def test_a_number_that_is_an_integer_is_hidden_too() -> None:
    assert mask_value("caller", 13812341234) == "138****1234"
    assert mask_value("port", 8600) == 8600
    assert mask_value("bytes", 13812341234) == 13812341234


# ---------------------------------------------------------------------------------------------------------- identifiers


@given(st.sampled_from(["call_id", "unit_id", "customer_id", "id"]), st.integers(1, (1 << 63) - 1))
def test_identifiers_as_integers_stay_whole(key: str, value: int) -> None:
    assert mask_value(key, value) == value


def test_identifiers_as_they_are_made_stay_whole() -> None:
    make = IdMaker(SystemClock(), node=7)
    for _ in range(1000):
        value = make()
        assert mask_value("call_id", value) == value
        assert mask_value("call_id", str(value)) == str(value)
        assert mask_value("call_ids", [value]) == [value]
    assert mask_value("leg_id", "1795309340.123") == "1795309340.123"
    assert mask_value("leg_id", "lingxi-1795309340.7") == "lingxi-1795309340.7"


# -------------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "key", ["secret", "ami_secret", "password", "Password", "token", "csrf_token", "cookie", "authorization", "api_key"]
)
def test_what_stands_under_a_secret_key_is_hidden(key: str) -> None:
    assert mask_value(key, "hunter2") == "***"
    assert "hunter2" not in str(mask_value("headers", {key: "hunter2", "deep": [{key: ["hunter2"]}]}))


@pytest.mark.parametrize(
    "text",
    [
        "Action: Login\r\nUsername: lingxi\r\nSecret: hunter2\r\n",
        "postgresql+asyncpg://me:hunter2@127.0.0.1/x",
        "GET /x?token=hunter2&y=1",
        "Authorization: Bearer hunter2",
        '{"password": "hunter2"}',
        "password='hunter2'",
        "Cookie: hunter2",
    ],
)
def test_a_secret_inside_a_text_is_hidden(text: str) -> None:
    assert "hunter2" not in mask_text(text)


# ---------------------------------------------------------------------------------------------------- the whole way out


def test_a_line_is_a_sentence_with_identifiers(out: io.StringIO) -> None:
    structlog.get_logger("cti.test").info("A call was offered.", call_id=1 << 60, caller="13812341234", secret="hunter2")
    (line,) = lines(out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line.pop("timestamp"))
    assert line == {
        "event": "A call was offered.",
        "level": "info",
        "logger": "cti.test",
        "call_id": 1 << 60,
        "caller": "138****1234",
        "secret": "***",
    }


def test_tracebacks_and_libraries_are_masked_too(out: io.StringIO) -> None:
    try:
        raise ValueError("no route to 13812341234, password=hunter2")
    except ValueError:
        structlog.get_logger("cti.test").exception("A call failed.")
    logging.getLogger("aiohttp.server").error("request of %s failed: %r", "13812341234", {"token": "hunter2"})
    written = out.getvalue()
    assert "ValueError: no route to 138****1234" in written
    assert "13812341234" not in written
    assert "hunter2" not in written
    assert len(lines(out)) == 2


def test_libraries_are_heard_from_warning_on_and_we_from_our_level(out: io.StringIO) -> None:
    logging.getLogger("aiohttp.access").info("not heard")
    logging.getLogger("sqlalchemy").warning("heard")
    structlog.get_logger("cti.test").debug("heard as well")
    assert [line["event"] for line in lines(out)] == ["heard", "heard as well"]


def test_text_is_for_people() -> None:
    stream = io.StringIO()
    set_up("info", "text", stream)
    structlog.get_logger("cti.test").info("A seat went ready.", seat_id=7)
    structlog.reset_defaults()
    assert "A seat went ready." in stream.getvalue()
    assert "seat_id=7" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
