"""Executions, that is runs of a TestWorkflow, as Testkube's API tells of them.

Read leniently: other versions of Testkube have other states and more fields, and only an id is indispensable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

UNFINISHED = frozenset(
    ("queued", "assigned", "starting", "scheduling", "running", "pausing", "paused", "resuming", "stopping")
)
FINISHED = frozenset(("passed", "failed", "aborted", "canceled"))
# Testkube's own sentences are coloured for a terminal.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MAX_ERROR_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution, without its steps. `status` may be a state that is in neither of the two sets above.

    `labels` and `annotations` are those that its TestWorkflow had when it began. `actor` is what started it, as
    Testkube calls its kind; empty for cron and for a call of the API, which Testkube does not tell apart.
    """

    id: str
    name: str
    number: int
    workflow: str
    status: str
    scheduled_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    tags: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    actor: str = ""
    actor_name: str = ""

    @classmethod
    def of(cls, answer: Any) -> Self:
        """Parse what Testkube sends. Raises ValueError where it is no execution."""
        if not isinstance(answer, dict) or not answer.get("id"):
            raise ValueError("it has no id")
        result, workflow = _object(answer.get("result")), _object(answer.get("workflow"))
        actor = _object(_object(answer.get("runningContext")).get("actor"))
        return cls(
            id=str(answer["id"]),
            name=str(answer.get("name") or ""),
            number=number if isinstance(number := answer.get("number"), int) else 0,
            workflow=str(workflow.get("name") or ""),
            status=str(result.get("status") or ""),
            scheduled_at=_time(answer.get("scheduledAt")),
            started_at=_time(result.get("startedAt")),
            finished_at=_time(result.get("finishedAt")),
            tags=_strings(answer.get("tags")),
            labels=_strings(workflow.get("labels")),
            annotations=_strings(workflow.get("annotations")),
            actor=str(actor.get("type") or ""),
            actor_name=str(actor.get("name") or ""),
        )

    @property
    def finished(self) -> bool:
        """Whether it has ended. Of a state that is not known here, the time of its end tells."""
        if self.status in FINISHED:
            return True
        # An execution that cannot run has an end from the start, while its state is still `assigned`.
        return self.status not in UNFINISHED and self.finished_at is not None


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of an execution, with what it consists of. `error` is Testkube's sentence, in one line."""

    name: str
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionDetail:
    """An execution with its phases, in order. `error` says why it could not begin, where Testkube knows.

    `crons` are the schedules of its TestWorkflow when it began, each with its time zone, which may be empty.
    """

    execution: Execution
    phases: tuple[Phase, ...]
    error: str
    crons: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, answer: Any) -> Self:
        """Parse what Testkube sends. Raises ValueError where it is no execution."""
        execution = Execution.of(answer)
        result = _object(answer.get("result"))
        steps = _object(result.get("steps"))
        signature = [_object(each) for each in _list(answer.get("signature"))]
        phases = tuple(_phase(each, steps) for each in signature)
        error = _sentence(_object(result.get("initialization")).get("errorMessage"))
        return cls(execution, phases, error, tuple(_crons(_object(_object(answer.get("workflow")).get("spec")))))


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that an execution has left. `size` is in bytes."""

    name: str
    size: int


def _phase(signature: dict[str, Any], steps: dict[str, Any]) -> Phase:
    """Read a phase by its name: the references by which its steps are found are other ones in each execution."""
    own = _object(steps.get(str(signature.get("ref"))))
    parts = [_object(steps.get(ref)) for ref in _refs(signature)]
    errors = filter(None, (_sentence(part.get("errorMessage")) for part in (own, *parts)))
    return Phase(
        name=str(signature.get("name") or signature.get("category") or ""),
        status=str(own.get("status") or ""),
        started_at=_time(own.get("startedAt")),
        finished_at=_time(own.get("finishedAt")),
        error=next(errors, ""),
    )


def _crons(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for event in map(_object, _list(spec.get("events"))):
        job = _object(event.get("cronjob"))
        if job.get("cron"):
            zone = job.get("timezone")  # the API puts it into an object of its own
            yield str(job["cron"]), str(_object(zone).get("value") or (zone if isinstance(zone, str) else ""))


def _refs(signature: dict[str, Any]) -> Iterator[str]:
    for child in map(_object, _list(signature.get("children"))):
        yield str(child.get("ref"))
        yield from _refs(child)


def _sentence(value: Any) -> str:
    return " ".join(_COLOURS.sub("", str(value or "")).split())[:_MAX_ERROR_LENGTH]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _strings(value: Any) -> dict[str, str]:
    return {str(key): str(each) for key, each in _object(value).items()}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(value: Any) -> datetime | None:
    """Read a time with any number of digits. Go's zero time, year 1, stands for "not yet"."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.year > 1 else None
