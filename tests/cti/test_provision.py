"""Nothing that comes from outside can start a line, a section or an option of Asterisk's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.asterisk import provision
from cti.pbx.asterisk.provision import (
    BadPlan,
    Login,
    NumberPlan,
    OutgoingPlan,
    OwnPlan,
    PbxPlan,
    Ports,
    QueuePlan,
    Seat,
    TrunkPlan,
    guard_lifted,
    rendered,
    secret_request,
    shown_name,
    write_atomically,
)

TEMPLATES = Path(__file__).resolve().parents[2] / "config/asterisk"
LOGIN = Login(user="lingxi", secret="a-secret-of-ours")


def plan(**changes: Any) -> PbxPlan:
    base = PbxPlan(
        name="one",
        manager=LOGIN,
        ari=LOGIN,
        seats=(
            Seat(extension="1001", name="Desk", browser=False, secret="desk-secret"),
            Seat(extension="2001", name="B", browser=True),
        ),
        queues=(QueuePlan(name="support", title="Support"), QueuePlan(name="quiet", title="Q", record=False, max_wait_s=30)),
        numbers=(NumberPlan(number="8001", queue="support"),),
        trunks=(TrunkPlan(name="carrier", matches=("127.0.0.2",), contact="sip:127.0.0.2:5070"),),
        outgoing=OutgoingPlan(trunk="carrier"),
        own=OwnPlan(
            home="/srv/pbx",
            run="/srv/pbx/run",
            modules="/usr/lib/asterisk/modules",
            music="/usr/share/asterisk/moh",
            ports=Ports(sip=15060, ami=15038, http=15088, rtp_first=20000, rtp_last=20999),
            ice_hosts=("192.0.2.7",),
        ),
    )
    return replace(base, **changes)


def shape(files: dict[str, str]) -> dict[str, list[str]]:
    """Of every line its section header, or its option's name, or what kind of line it is."""

    def kind(line: str) -> str:
        if not line.strip():
            return ""
        if line.lstrip().startswith(";"):
            return ";"
        if line.startswith("["):
            return line
        return re.split(r"=>|=", line, maxsplit=1)[0].strip()

    return {name: [kind(line) for line in text.split("\n")] for name, text in files.items()}


PLAIN = shape(rendered(plan(), TEMPLATES))
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
NASTY = st.sampled_from(
    ["\n", "\r", "\x00", "\x85", "\u2028", ";", "[x]", "]", "=>", "=", "#include x", "${EPOCH}", "$[1]", ",", "|", '"', "<", "\\"]
)
HOSTILE = st.lists(st.one_of(ANY_TEXT, NASTY), max_size=6).map("".join)


@given(HOSTILE, HOSTILE)
def test_any_name_and_title_leave_the_shape_as_it_is(name: str, title: str) -> None:
    changed = plan(
        seats=(
            Seat(extension="1001", name=name, browser=False, secret="desk-secret"),
            Seat(extension="2001", name=title, browser=True),
        ),
        queues=(QueuePlan(name="support", title=title), QueuePlan(name="quiet", title=name, record=False, max_wait_s=30)),
    )
    files = rendered(changed, TEMPLATES)
    assert shape(files) == PLAIN
    for text in files.values():
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]", text)
    for line in files["pjsip.conf"].splitlines():
        if line.startswith("callerid="):
            assert re.fullmatch(r"callerid=[^;<>\"\\\[\]$,]+ <(1001|2001)>", line)


MAKERS: dict[str, Callable[[str], object]] = {
    "extension": lambda v: Seat(extension=v, name="x", browser=True),
    "seat secret": lambda v: Seat(extension="1001", name="x", browser=False, secret=v),
    "queue": lambda v: QueuePlan(name=v, title="x"),
    "strategy": lambda v: QueuePlan(name="q", title="x", strategy=v),
    "music": lambda v: QueuePlan(name="q", title="x", music=v),
    "welcome": lambda v: QueuePlan(name="q", title="x", welcome=v),
    "number": lambda v: NumberPlan(number=v, queue="q"),
    "number's queue": lambda v: NumberPlan(number="1", queue=v),
    "trunk": lambda v: TrunkPlan(name=v, matches=("127.0.0.2",), contact="sip:127.0.0.2"),
    "match": lambda v: TrunkPlan(name="t", matches=(v,), contact="sip:127.0.0.2"),
    "contact": lambda v: TrunkPlan(name="t", matches=("127.0.0.2",), contact=v),
    "codecs": lambda v: TrunkPlan(name="t", matches=("127.0.0.2",), contact="sip:127.0.0.2", codecs=v),
    "prefix": lambda v: OutgoingPlan(trunk="t", prefix=v),
    "caller id": lambda v: OutgoingPlan(trunk="t", caller_id=v),
    "user": lambda v: Login(user=v, secret="12345678"),
    "secret": lambda v: Login(user="x", secret=v),
    "PBX": lambda v: plan(name=v),
    "home": lambda v: replace(plan().own, home=v),  # type: ignore[type-var]
    "modules": lambda v: replace(plan().own, modules=v),  # type: ignore[type-var]
    "address": lambda v: replace(plan().own, address=v),  # type: ignore[type-var]
    "guard": guard_lifted,
    "secret to set": lambda v: secret_request("1001", v),
    "extension to set": lambda v: secret_request(v, "12345678"),
}
BREAKS = [
    "\n",
    "\r",
    "\x00",
    ";",
    "[",
    "]",
    ",",
    "$",
    "{",
    "(",
    ")",
    "|",
    '"',
    "<",
    ">",
    "\\",
    "#",
    "&",
    "^",
    "`",
    "'",
    " ",
    "\t",
    "\u2028",
]


@pytest.mark.parametrize("what", MAKERS)
@given(value=HOSTILE, extra=st.sampled_from(BREAKS), place=st.integers(0, 80))
def test_a_value_with_a_character_that_means_something_is_refused(what: str, value: str, extra: str, place: int) -> None:
    hostile = value[:place] + extra + value[place:]
    if what in ("home", "modules") and extra in " ()&^`'":
        return  # folders may be called like that; nothing in the files splits them there
    with pytest.raises(BadPlan):
        MAKERS[what](hostile)


@pytest.mark.parametrize("what", MAKERS)
@given(value=HOSTILE)
def test_whatever_is_accepted_is_one_word_on_one_line(what: str, value: str) -> None:
    try:
        MAKERS[what](value)
    except BadPlan:
        return
    assert not re.search(r"[\x00-\x1f;\[\]\"\\<>$\u2028\x85]", value)


def test_a_secret_is_not_told_in_the_refusal_nor_in_the_repr() -> None:
    with pytest.raises(BadPlan) as refused:
        Seat(extension="1001", name="x", browser=False, secret="hush hush hush")
    assert "hush" not in str(refused.value)
    with pytest.raises(BadPlan) as refused:
        secret_request("1001", "hush hush hush")
    assert "hush" not in str(refused.value)
    assert "ours" not in repr(plan()) and "desk-secret" not in repr(plan())


@pytest.mark.parametrize(
    "changes",
    [
        {"numbers": (NumberPlan(number="1", queue="nowhere"),)},
        {"outgoing": OutgoingPlan(trunk="nowhere")},
        {"queues": (QueuePlan(name="a", title=""), QueuePlan(name="A", title="")), "numbers": ()},
        {"seats": (Seat(extension="carrier", name="", browser=True),)},
        {"numbers": (NumberPlan(number="8001", queue="quiet"), NumberPlan(number="8001", queue="support"))},
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadPlan):
        plan(**changes)


def test_only_what_changed_is_written_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    assert write_atomically(plan(), TEMPLATES, folder) == set(rendered(plan(), TEMPLATES))
    assert write_atomically(plan(), TEMPLATES, folder) == set()
    assert write_atomically(plan(numbers=()), TEMPLATES, folder) == {"extensions.conf"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert {path.name for path in folder.iterdir()} == set(PLAIN)


def test_for_an_asterisk_that_is_there_already_only_the_parts_to_include_are_made() -> None:
    files = rendered(plan(own=None), TEMPLATES)
    assert set(files) == set(provision.INCLUDES)
    for text in files.values():
        assert "[general]\n" not in text and "[mappings]\n" not in text and "[global]" not in text and "type=transport" not in text


def test_what_the_rules_say_is_in_the_files() -> None:
    files = rendered(plan(), TEMPLATES)
    support, quiet = re.findall(r"exten => (?:support|quiet),1.*?Hangup\(\)", files["extensions.conf"], re.S)
    assert "MixMonitor" in support and "MixMonitor" not in quiet
    assert quiet.count(",,,30)") == 1
    assert "192.0.2.7 => 127.0.0.1" in files["rtp.conf"]
    assert "password=" not in re.split(r"\[2001\]", files["pjsip.conf"], maxsplit=1)[1]
    assert all(f"{option}=no" in files["pjsip.conf"] for option in ("send_pai", "send_rpid", "send_diversion"))
    assert "wrapuptime=0" in files["queues.conf"] and "persistentmembers=yes" in files["queues.conf"]


def test_a_shown_name_keeps_what_is_harmless() -> None:
    assert shown_name('  欧阳 "娜娜"; [x]\n') == "欧阳 娜娜 x"
    assert shown_name(";;;") == ""
    assert len(shown_name("长" * 500)) == 60
