"""The whole PBX but for its sockets: floor, scripts, ledger, actions, and the books it keeps itself. Runs with or without a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.synthetic.actions import Actions
from tests.synthetic.clockwork import Clockwork
from tests.synthetic.direct import Internal, Outgoing
from tests.synthetic.floor import Floor, Queue, Records, Say
from tests.synthetic.inbound import Inbound
from tests.synthetic.ledger import Ledger
from tests.synthetic.plans import Plan
from tests.synthetic.script import Script


class Exchange:
    """One PBX. `say` gets every event, `write` every line of the ledger."""

    def __init__(
        self, say: Say, write: Callable[[dict[str, Any]], None], *, clock: Callable[[], float] | None = None, start: float = 0.0,
        system: str = "synthetic", queues: list[Queue], phones: list[str], trunk: str = "carrier", seed: int = 1, records: Records | None = None,
    ) -> None:  # fmt: skip
        self.work = Clockwork(clock, start)
        self.floor = Floor(self.work, say, records, system=system, queues=queues, phones=phones, trunk=trunk, seed=seed)
        self.ledger = Ledger(write)
        self.actions = Actions(self.floor, self._dial, lambda: self.ledger.look(self.work.now))

    def place(self, plan: Plan, after: float = 0.0) -> None:
        """Let somebody call."""
        kind: type[Script] = Inbound if plan.queue else Internal if plan.kind.startswith("internal") else Outgoing
        kind(self.floor, self.ledger, plan).start(after)

    def _dial(self, seat: str, number: str, leg: str) -> None:
        self.place(replace(Plan(kind="outgoing", number=number), seat=seat, uniqueid=leg))

    def shift_clock(self, seconds: float) -> None:
        """The PBX's clock is set."""
        self.ledger.fault(self.work.now, "clock", by=seconds)
        self.floor.offset += seconds

    def stop(self) -> None:
        """The PBX is gone, and every call with it."""
        self.work.end_all()
        self.ledger.lose_all(self.work.now, self.floor.offset)

    def boot(self) -> None:
        """It is there again, as another boot of itself."""
        self.floor.boot()
