"""The generated pages of the reference are those that the program would write now."""

from __future__ import annotations

import pytest

from config.setup.pages import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run make docs and commit what it wrote"
