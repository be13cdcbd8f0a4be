"""Every table of every package, in one place: what the migrations compare the database with."""

from __future__ import annotations

import crm_core.entities.org
import crm_core.entities.people
import crm_core.entities.work
import crm_core.records.storage
import cti.storage
import recordings.storage
from crm_core.kernel.db import Base

METADATA = Base.metadata
PACKAGES = (
    crm_core.entities.org,
    crm_core.entities.people,
    crm_core.entities.work,
    crm_core.records.storage,
    cti.storage,
    recordings.storage,
)
