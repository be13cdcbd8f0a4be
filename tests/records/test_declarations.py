"""Declarations by themselves: their words, their document numbers, and what is refused of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.entities.work import LISTS
from crm_core.kernel.words import chinese
from crm_core.records import document_numbers
from tests.records.test_every_record import KINDS


def test_every_word_of_a_declaration_has_its_chinese() -> None:
    words: set[str] = set()
    for kind in KINDS:
        entity = kind.entity
        words |= {entity.one, entity.many, entity.new, entity.empty, *(stage.label for stage in entity.stages)}
        words |= {text for one in kind.fields.values() for text in (one.label, one.hint)}
    words |= {text for one in LISTS for text in (one.label, *(option.label for option in one.options))}
    assert {word for word in words - {""} if word not in chinese()} == set()


@given(
    n=st.integers(1, 10**6),
    at=st.floats(0, 4e9),
    rule=st.sampled_from(["T-{yyyy}{mm}-{n:05}", "P{n}", "{yy}{mm}{dd}{n:03}", "A-{n:4}/{yyyy}"]),
)
def test_a_number_says_its_period_and_its_count(n: int, at: float, rule: str) -> None:
    document_numbers.check_rule(rule)
    written = document_numbers.written(rule, n, at, "Asia/Shanghai")
    assert str(n) in written and "{" not in written
    assert document_numbers.period_of(rule, at, "Asia/Shanghai") == document_numbers.period_of(rule, at, "Asia/Shanghai")
    if "{yyyy}" in rule:
        assert document_numbers.period_of(rule, at, "Asia/Shanghai")[:4] in written


@pytest.mark.parametrize("rule", ["", "T-", "{n}{x}", "{n", "{n:12}", "{n}" + "x" * 60])
def test_a_rule_that_makes_no_numbers_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="rule of numbers"):
        document_numbers.check_rule(rule)
