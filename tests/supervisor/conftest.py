"""What the tests of the supervisor's pages may ask for by name."""

from __future__ import annotations

from tests.web.conftest import cache, everywhere, filled, program

__all__ = ["cache", "everywhere", "filled", "program"]
