"""Initials from the packed table are those that pypinyin spells, for every character and every word it knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import initials
from crm_core.initials import Initials, initials_of, open_initials, pack


@pytest.fixture(scope="module")
def packed() -> Initials:
    return Initials(pack())


def test_every_character_and_every_word_is_spelled_as_pypinyin_does(packed: Initials) -> None:
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

    known = [*map(chr, PINYIN_DICT), *PHRASES_DICT]
    assert [word for word in known if packed(word) != initials._spelled(word)] == []


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("浙江宏远", "zjhy"),
        ("重庆长城物流", "cqccwl"),
        ("张三", "zs"),
        ("ABC公司", "ags"),
        ("Schmidt GmbH", "s"),
        ("", ""),
        ("李 四", "l s"),
    ],
)
async def test_names(name: str, letters: str, tmp_path: Path) -> None:
    assert initials_of(name) == letters
    await open_initials(tmp_path / "cache")
    try:
        assert initials_of(name) == letters
        assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".bin"]
    finally:
        initials._spell = initials._spelled


async def test_a_table_that_is_broken_is_done_without(tmp_path: Path) -> None:
    (tmp_path / f"initials-{initials.version('pypinyin')}.bin").write_bytes(b"nothing")
    await open_initials(tmp_path)
    assert initials_of("张三") == "zs"


@given(st.text(max_size=80))
def test_nothing_is_too_odd_to_be_spelled(packed: Initials, name: str) -> None:
    assert len(packed(name)) <= len(name)
