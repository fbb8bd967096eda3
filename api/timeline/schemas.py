"""What the api says of all that has happened to an Experiment."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from api.executions.schemas import Execution
from api.reconciliations.schemas import Reconciliation
from experiments.models import Part


class TimelineItem(Part):
    """What began at `time`: the one of both that `kind` says; the other is null."""

    kind: Literal["reconciliation", "execution"]
    time: datetime
    reconciliation: Reconciliation | None = None
    execution: Execution | None = None


class TimelinePage(Part):
    """Reconciliations and executions, the newest by their start first. `next_cursor` is null on the last page.

    `unavailable` says what could not be asked: what only that knows is missing.
    """

    items: list[TimelineItem]
    next_cursor: str | None
    unavailable: list[str]
