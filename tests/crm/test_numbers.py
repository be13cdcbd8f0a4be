"""Numbers: read however they are written, never with an error; the same number always has the same key; what is masked stays masked."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.demo.customers import mobile
from crm_core.customers import show_name
from crm_core.initials import initials_of
from crm_core.kernel.access import Principal, Scope
from crm_core.numbers import NumberRules, kind_of, mask, read

RULES = NumberRules(area_code="0571")
OTHERS = [
    RULES,
    NumberRules(home_region="DE", prefixes=("0",)),
    NumberRules(home_region="US", extensions=r"\d{3}"),
    NumberRules(prefixes=()),
]
WRITTEN = st.one_of(
    st.text(max_size=80),
    st.text("0123456789+-() ./;=sipteln:@＋０１２３４５６７８９　\u00a0\u202a", max_size=60),
    st.from_regex(r"\+?\d{1,18}(;ext=\d+)?", fullmatch=True),
)


@given(WRITTEN, st.sampled_from(OTHERS))
@example("²³", RULES)
@example("+", RULES)
@example("١٣٨١٢٣٤١٢٣٤", RULES)
@example("\ud800", RULES)
@example("0" * 5000, RULES)
def test_nothing_is_too_odd_to_be_read(raw: str, rules: NumberRules) -> None:
    found = read(raw, rules)
    assert found.kind in ("outside", "internal", "withheld", "odd")
    assert (found.key == "") == (found.kind == "withheld")
    assert len(found.key) <= 40
    assert kind_of(found.key) in ("mobile", "landline", "other")


@given(WRITTEN, st.sampled_from(OTHERS))
def test_a_key_is_its_own_key(raw: str, rules: NumberRules) -> None:
    found = read(raw, rules)
    if found.kind in ("outside", "internal"):
        assert read(found.key, rules).key == found.key
        assert read(found.national, rules).key == found.key


MAINLAND = st.from_regex(r"(\+|\+86|0086|86|0|9)?(1[0-9]{10}|(10|2[0-9]|[3-9][0-9]{2})[1-9][0-9]{6,7})", fullmatch=True)


@given(MAINLAND, st.sampled_from([RULES, NumberRules()]))
@example("+86" + "1" * 11, RULES)
@example("02095577", RULES)
def test_the_quick_way_reads_as_the_long_way_does(raw: str, rules: NumberRules) -> None:
    assert read(raw, rules) == read(raw + ".", rules)  # a number with a mark after it is not the plain case


@pytest.mark.parametrize("public", ["110", "120", "10086", "12345", "12315"])
def test_a_number_of_the_public_is_no_extension(public: str) -> None:
    assert read(public, RULES).kind != "internal"


@pytest.mark.parametrize("extension", ["1001", "101", "8001", "600", "80012"])
def test_an_extension_is_internal(extension: str) -> None:
    assert read(extension, RULES).kind == "internal"


SAME = [
    "13812341234", "138 1234 1234", "138-1234-1234", "(138)12341234", "+8613812341234", "+86 138 1234 1234", "008613812341234", "8613812341234",
    "013812341234", "913812341234", "9013812341234", "sip:13812341234@10.0.0.1", "sip:+8613812341234@cc.example;user=phone", "tel:+86-138-1234-1234",
    "１３８１２３４１２３４", "＋８６１３８１２３４１２３４", " 13812341234 ", "SIPS:13812341234@x",
]  # fmt: skip


@pytest.mark.parametrize("written", SAME)
def test_one_mobile_however_written_is_one_number(written: str) -> None:
    assert read(written, RULES).key == "+8613812341234"
    assert read(written, RULES).national == "13812341234"


@pytest.mark.parametrize(
    "written", ["057188123456", "0571-88123456", "88123456", "+8657188123456", "9057188123456", "0086 571 8812 3456"]
)
def test_a_landline_is_read_with_and_without_its_area(written: str) -> None:
    assert read(written, RULES).key == "+8657188123456"


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "anonymous",
        "Anonymous",
        "unknown",
        "<unknown>",
        "Restricted",
        "sip:anonymous@anonymous.invalid",
        "unavailable",
        "private",
        "-",
        "asterisk",
    ],
)
def test_withheld_is_withheld_however_it_is_said(written: str) -> None:
    assert read(written, RULES).kind == "withheld"


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("8001", "internal"),
        ("801", "internal"),
        ("23456", "internal"),
        ("80", "odd"),
        ("123456", "odd"),
        ("0571", "odd"),
        ("9", "odd"),
    ],
)
def test_extensions_follow_their_rule(written: str, kind: str) -> None:
    assert read(written, RULES).kind == kind


def test_a_plus_is_never_an_extension_and_another_rule_changes_what_is_one() -> None:
    assert read("+8001", RULES).kind == "odd"
    assert read("8001", NumberRules(extensions=r"9\d{3}")).kind != "internal"
    assert read("913812341234", NumberRules(prefixes=())).key != "+8613812341234"


@given(st.randoms(use_true_random=False))
def test_every_made_up_mobile_of_the_demo_is_a_number(rng: object) -> None:
    assert len(mobile(rng)) == 11  # type: ignore[arg-type]


@given(WRITTEN)
def test_a_masked_number_does_not_hold_the_whole_one(raw: str) -> None:
    digits = "".join(ch for ch in raw if ch.isdigit())
    hidden = mask(raw)
    assert not digits or "****" in hidden
    if len(digits) >= 3:
        assert digits not in "".join(ch for ch in hidden if ch.isdigit())
        assert len([ch for ch in hidden if ch.isdigit()]) <= max(len(digits) - 2, 2)


@pytest.mark.parametrize(
    ("shown", "masked"),
    [
        ("13812341234", "138****1234"),
        ("057188123456", "0571****3456"),
        ("88123456", "****3456"),
        ("8001", "****01"),
        ("", ""),
        ("+4930123456", "+49****3456"),
    ],
)
def test_masks_look_the_way_people_know_them(shown: str, masked: str) -> None:
    assert mask(shown) == masked


@pytest.mark.parametrize(
    "name", ["13812341234", "Call from 138 1234 1234", "+86-138-1234-1234", "王 (0571) 8812 3456", "１３８１２３４１２３４"]
)
def test_a_number_in_a_name_is_masked_for_who_may_not_see_it(name: str) -> None:
    agent = Principal(user_id=1, unit_id=1, name="", login="", role="agent")
    chief = Principal(user_id=1, unit_id=1, name="", login="", role="supervisor", grants={("number", "see_whole"): Scope.UNIT})
    assert "****" in show_name(agent, name) and show_name(chief, name) == name


@pytest.mark.parametrize("name", ["王小明", "Line 12", "Hall 8001", "2026 Ltd", "A-100 200"])
def test_a_name_that_holds_no_number_stays(name: str) -> None:
    assert show_name(Principal(user_id=1, unit_id=1, name="", login="", role="agent"), name) == name


@given(st.text(max_size=200))
def test_initials_fit_their_column(name: str) -> None:
    assert len(initials_of(name)) <= 60
