"""What a list shows of an execution, made of what Temporal and Testkube know. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from api.executions.followers import Follower
from api.executions.schemas import Execution, ExecutionLinks
from api.executions.stretches import OLDEST, Key
from api.http.sendable import text
from experiments.evaluation import Counts, Verdict
from experiments.executions import ExecutionMemo, Starter, in_summary, rfc3339, started_by
from experiments.models import ExecutionMetrics
from experiments.names import EXPERIMENT_ANNOTATION, UID_LABEL
from testkube.executions import Execution as InTestkube
from testkube.executions import ExecutionDetail as DetailInTestkube


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose executions they are. `uid` and `crons` are those of the Experiment that there is now, if any."""

    namespace: str
    name: str
    workflow: str
    uid: str = ""
    crons: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/experiments/{self.name}/executions"

    def owns(self, execution: InTestkube) -> bool:
        """Tell whether it is one of this name: another's TestWorkflow may have the same name elsewhere."""
        marked = execution.annotations.get(EXPERIMENT_ANNOTATION) == f"{self.namespace}/{self.name}"
        labelled = bool(self.uid) and execution.labels.get(UID_LABEL) == self.uid
        return execution.workflow == self.workflow and (marked or labelled)


def key_of(execution: Execution) -> Key:
    """Make the key by which lists are sorted."""
    return execution.start_time, execution.execution_number or 0, execution.execution_id


def start_of(execution: InTestkube) -> Key | None:
    """Make the key of what Testkube lists, the same that a run notes that follows it. None before there is a time."""
    time = execution.scheduled_at or execution.started_at
    return (datetime.fromisoformat(rfc3339(time)), execution.number, execution.id) if time else None


def row(subject: Subject, seen: InTestkube | None, follower: Follower | None, temporal: str | None) -> Execution:
    """Sum up an execution, of which one at least is known. `temporal` is the link to the run that follows it.

    Testkube is newer than a run that still waits to look again; what was judged stays as it was noted.
    """
    memo = follower.memo if follower else ExecutionMemo()
    newer = seen if seen and not memo.verdict else None
    start = _start(seen, follower)
    execution = start[2]
    end = (newer.finished_at if newer.finished else None) if newer else _time(memo.end_time)
    status = newer.status if newer else memo.status
    verdict = cast(Verdict, memo.verdict) if memo.verdict else None
    counts = Counts(memo.total, memo.passed, memo.failed, memo.errored)
    itself = f"{subject.path}/{execution}"
    return Execution(
        execution_id=execution,
        execution_number=start[1] or None,
        namespace=subject.namespace,
        name=subject.name,
        uid=follower.target.uid if follower else (seen and seen.labels.get(UID_LABEL)),
        workflow=(seen and seen.workflow) or memo.workflow or subject.workflow,
        status=status or None,
        started_by=cast(Starter, memo.started_by) if memo.started_by else _starter(subject, seen),
        start_time=start[0],
        end_time=_in_seconds(end),
        duration_seconds=between(start[0], _in_seconds(end)),
        verdict=verdict,
        message=text(memo.message) or None,
        metrics=metrics_of(counts) if verdict else None,
        by_metric={text(metric): mean for metric, mean in memo.by_metric.items()},
        summary=in_summary(status, memo.verdict, counts) or None,
        links=ExecutionLinks(itself=itself, artifacts=f"{itself}/artifacts", temporal=temporal),
    )


def _start(seen: InTestkube | None, follower: Follower | None) -> Key:
    if seen and (start := start_of(seen)):
        return start
    if follower:
        return follower.key
    # Testkube says when each was scheduled. One of which it did not would be the oldest.
    return OLDEST, seen.number if seen else 0, seen.id if seen else ""


def metrics_of(counts: Counts) -> ExecutionMetrics:
    """Show how many metrics there are of each kind."""
    return ExecutionMetrics(total=counts.total, passed=counts.passed, failed=counts.failed, errored=counts.errored)


def _starter(subject: Subject, seen: InTestkube | None) -> Starter | None:
    """Say who began it, as far as Testkube tells: of cron and of a person, only the schedule knows."""
    if seen is None:
        return None
    found = started_by(DetailInTestkube(seen, (), "", subject.crons))
    unsure = found == "User" and not seen.actor and not subject.uid
    return None if unsure else found


def _time(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _in_seconds(time: datetime | None) -> datetime | None:
    """Cut it to whole seconds, as it is in Temporal."""
    return datetime.fromisoformat(rfc3339(time)) if time else None


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from one to the other; None where one of them is still to come."""
    return max((end - start).total_seconds(), 0.0) if start and end else None
