"""What the api says of runs. `visibility` and `history` fill it in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field

from api.reconciliations.close_event import Closed
from experiments.changes import Verb
from experiments.contract import Outcome
from experiments.errors import BY_REASON, Terminal
from experiments.models import Part


class RunStep(Part, frozen=False):
    """One step of a run. `result` and `failure` are in words; `failure` is that of the last attempt that failed.

    A step that is tried as a local activity first and then as a regular one appears as both. Times of local steps are
    by the workflow's clock, which stands still between steps: durations are exact, what lies between them is missing.
    `next_attempt_time` is when a step that failed is tried again, or when a wait ends at the latest.
    """

    name: str
    kind: Literal["local", "regular", "timer"]
    start_time: datetime
    end_time: datetime | None = None
    attempts: int = 1
    next_attempt_time: datetime | None = None
    result: str | None = None
    failure: str | None = None


class Signal(Part):
    """Further reasons that came while the run was open; the first one started it."""

    time: datetime
    reasons: list[str]


Status: TypeAlias = Literal["Running"] | Closed
STATUSES: tuple[str, ...] = ("Running", *get_args(Closed))
OUTCOMES: dict[Status, tuple[str, ...]] = {
    "Completed": get_args(Outcome),
    "Failed": tuple(name for name, kind in BY_REASON.items() if issubclass(kind, Terminal)),
}
"""What runs can come to, by the status that those have. A run of any other status comes to the same word."""


class Reconciliation(Part):
    """One run. `outcome` is Running, what a completed run came to, or the reason for which it failed.

    `namespace` and `name` are the Experiment's; `uid` tells apart the objects that had the name one after the other.
    `changes` and the final `reasons` are known once the run has ended.
    """

    run_id: str
    workflow_id: str
    namespace: str
    name: str
    uid: str
    status: Status
    outcome: str
    message: str
    reasons: list[str]
    changes: list[str]
    start_time: datetime
    close_time: datetime | None
    duration_seconds: float | None
    temporal_url: str


class ChildChange(Part):
    """What a run did to one generated object. A `change` names the fields, as far as the plan knew them."""

    verb: Verb
    kind: str
    namespace: str
    name: str
    fields: list[str]


class ReconciliationDetail(Reconciliation):
    """One run with its steps in order, and what woke it.

    `children` are its `changes` to generated objects, `status_written` is what its last report said. A run in progress
    has a `current_step`, unless it works on steps that its history does not have yet, and says in `message` what is in
    its way.
    """

    children: list[ChildChange]
    status_written: str | None
    current_step: RunStep | None
    steps: list[RunStep]
    signals: list[Signal]


class RunPage(Part):
    """Runs: those that are open, then the last to end first. `next_cursor` is null on the last page.

    With a filter for outcome or reason a page may be short, or empty, and still not be the last. `counts` are of all
    runs in the time range, by `status`, or where Temporal's search attributes tell, by `outcome`; null but on the first
    page.
    """

    items: list[Reconciliation]
    next_cursor: str | None
    counts: dict[str, int] | None


class ReconcileRequest(Part):
    """Why somebody wants a run, in one line: it becomes one of the run's `reasons`."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", examples=["a new judge"])] = ""
