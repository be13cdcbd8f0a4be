"""What the tests of records may ask for by name."""

from __future__ import annotations

from tests.web.conftest import cache, filled, shared_everywhere

__all__ = ["cache", "filled", "shared_everywhere"]
