"""What the tests of the System pages may ask for by name."""

from __future__ import annotations

from tests.web.conftest import cache, everywhere, filled, program, shared

__all__ = ["cache", "everywhere", "filled", "program", "shared"]
