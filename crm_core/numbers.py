"""Telephone numbers: read however written, told apart (outside, internal, withheld), shown whole or masked.

Pure. A number's `key` is what the same number always turns into: E.164 for real ones, the bare digits for what is none. Facts come
from the phonenumbers package (ITU E.164 plans). Nothing here knows customers;
where a number belongs is in `places`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers

WITHHELD = frozenset({"", "anonymous", "unknown", "<unknown>", "restricted", "unavailable", "private", "withheld", "asterisk"})
_DIGITS = re.compile(r"\D+")
_PLAIN = re.compile(r"\+?[0-9 ()-]+")
_FULL_WIDTH = str.maketrans("０１２３４５６７８９＋－（）　", "0123456789+-() ")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRules:
    """How numbers are written here. `extensions` matches inside numbers; `prefixes` are put before numbers to dial out."""

    home_region: str = "CN"
    area_code: str = ""
    extensions: str = r"(?!1[12]\d$|1[0-2]\d{3}$)[1-8]\d{2,4}"  # 110, 12345, 10086 are the public's
    prefixes: tuple[str, ...] = ("9",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number, understood. `kind` is outside, internal, withheld or odd (has digits, but is no number of any plan)."""

    kind: str
    key: str
    national: str  # as people of the home region write it


NONE = Number(kind="withheld", key="", national="")


@lru_cache(maxsize=65536)
def read(raw: str, rules: NumberRules) -> Number:
    """Understand a number as a PBX or a person writes it. Never raises: what can't be understood is odd or withheld."""
    text = raw.strip().translate(_FULL_WIDTH)
    if text.lower().startswith(("sip:", "sips:", "tel:")):
        text = text.split(":", 1)[1].split(";", 1)[0].split("@", 1)[0]
    if text.lower() in WITHHELD:
        return NONE
    bare = _DIGITS.sub("", text)
    if not bare:
        return NONE
    plus = "+" in text[:2]
    if not plus and re.fullmatch(rules.extensions, bare):
        return Number(kind="internal", key=bare, national=bare)
    if rules.home_region == "CN" and _PLAIN.fullmatch(text) and (known := _mainland(bare, plus, rules.prefixes)) is not None:
        return known
    for candidate in _candidates(text, bare, plus, rules):
        found = _parse(candidate, rules.home_region)
        if found is not None:
            return found
    return Number(kind="odd", key=bare[:40], national=bare[:40])


@cache
def _mainland_plan() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """What mobiles, whole landlines and all numbers of the mainland look like, without trunk prefix and country code."""
    plan = phonenumbers.PhoneMetadata.metadata_for_region("CN")
    assert plan is not None
    assert plan.mobile is not None
    assert plan.fixed_line is not None
    assert plan.general_desc is not None
    fixed = f"(?=(?:10|2.|...)[2-8].{{6,7}}$)(?:{plan.fixed_line.national_number_pattern})"
    return (
        re.compile(str(plan.mobile.national_number_pattern)),
        re.compile(fixed),
        re.compile(str(plan.general_desc.national_number_pattern)),
    )


def _mainland(bare: str, plus: bool, prefixes: tuple[str, ...] = ()) -> Number | None:
    """The quick way for what nearly every caller's number is: the same answer as the long way's, or None where that must be gone."""
    mobile, fixed, anything = _mainland_plan()
    abroad = "86" if plus else "0086"
    if plus or bare.startswith(abroad):
        if not bare.startswith(abroad):
            return None
        significant = bare[len(abroad) :]
        landline = fixed.fullmatch(significant)
    else:
        landline = fixed.fullmatch(bare[1:]) if bare.startswith("0") else None
        significant = bare[1:] if landline else bare
        if bare.startswith("01") and len(bare) == 12:
            significant = bare[1:]  # a mobile with the old long-distance 0 before it, or a landline of the capital
    if landline:
        return Number(kind="outside", key="+86" + significant, national="0" + significant)
    if mobile.fullmatch(significant):
        return Number(kind="outside", key="+86" + significant, national=significant)
    for prefix in prefixes:
        if bare.startswith(prefix) and bare[0] in "2345679" and not plus and not anything.fullmatch(bare):
            return _mainland(bare[len(prefix) :], plus)
    return None


def _candidates(text: str, bare: str, plus: bool, rules: NumberRules) -> list[str]:
    """Readings of the same digits, the likeliest first."""
    if plus:
        return ["+" + bare]
    found = [text if len(text) < 40 else bare]
    if bare.startswith("00"):
        found.append("+" + bare[2:])
    found += [bare[len(p) :] for p in rules.prefixes if bare.startswith(p) and len(bare) > len(p) + 6]
    found.append("+" + bare)
    if rules.area_code and len(bare) in (7, 8):
        found.insert(0, rules.area_code + bare)
    if bare.startswith("0") and len(bare) == 12 and bare[1] == "1":  # a mobile with the old long-distance 0 before it
        found.insert(0, bare[1:])
    return found


def _parse(candidate: str, region: str) -> Number | None:
    try:
        parsed = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    parsed.extension = None
    national = phonenumbers.format_number(
        parsed,
        phonenumbers.PhoneNumberFormat.NATIONAL
        if phonenumbers.region_code_for_number(parsed) == region
        else phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    )
    key = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return Number(kind="outside", key=key, national=national.replace(" ", "").replace("-", "") if region == "CN" else national)


def mask(shown: str) -> str:
    """A number with its middle hidden: 13812341234 → 138****1234; short ones keep only their last four or two digits."""
    digits = "".join(ch for ch in shown if ch.isdigit())
    if len(digits) >= 10:
        return f"{'+' if shown.lstrip().startswith('+') else ''}{digits[:-8]}****{digits[-4:]}"
    if len(digits) >= 7:
        return f"****{digits[-4:]}"
    return f"****{digits[-2:]}" if digits else ""


def kind_of(key: str) -> str:
    """mobile, landline or other."""
    if not key.startswith("+"):
        return "other"
    found = phonenumbers.number_type(phonenumbers.parse(key))
    if found in (phonenumbers.PhoneNumberType.MOBILE,):
        return "mobile"
    return "landline" if found == phonenumbers.PhoneNumberType.FIXED_LINE else "other"
