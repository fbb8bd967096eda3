"""Executions, that is runs of a TestWorkflow, as Testkube's API tells of them.

Read leniently: other versions of Testkube have other states and more fields, and only an id is indispensable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

UNFINISHED = frozenset(
    ("queued", "assigned", "starting", "scheduling", "running", "pausing", "paused", "resuming", "stopping")
)
FINISHED = frozenset(("passed", "failed", "aborted", "canceled"))


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution, without its steps. `status` may be a state that is in neither of the two sets above."""

    id: str
    name: str
    number: int
    workflow: str
    status: str
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, answer: Any) -> Self:
        """Parse what Testkube sends. Raises ValueError where it is no execution."""
        if not isinstance(answer, dict) or not answer.get("id"):
            raise ValueError("it has no id")
        result = _object(answer.get("result"))
        return cls(
            id=str(answer["id"]),
            name=str(answer.get("name") or ""),
            number=number if isinstance(number := answer.get("number"), int) else 0,
            workflow=str(_object(answer.get("workflow")).get("name") or ""),
            status=str(result.get("status") or ""),
            scheduled_at=_time(answer.get("scheduledAt")),
            started_at=_time(result.get("startedAt")),
            finished_at=_time(result.get("finishedAt")),
        )

    @property
    def finished(self) -> bool:
        """Whether it has ended. Of a state that is not known here, the time of its end tells."""
        if self.status in FINISHED:
            return True
        # An execution that cannot run has an end from the start, while its state is still `assigned`.
        return self.status not in UNFINISHED and self.finished_at is not None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(value: Any) -> datetime | None:
    """Read a time with any number of digits. Go's zero time, year 1, stands for "not yet"."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.year > 1 else None
