"""What must hold of a ticket: one that counts as solved says how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crm_core.kernel.errors import Refusal
from crm_core.kernel.sentence import Sentence


def check(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    """Before each write. Raises Refusal."""
    if new["stage"] == "solved" and not new["solution"] and (old is None or old["stage"] != "solved"):
        raise Refusal("no_solution", "Write down first how it was solved: field {field}.", field=Sentence("Solution"))
