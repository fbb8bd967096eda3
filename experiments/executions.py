"""Where watcher, worker and api meet about executions: names and payloads of the workflows that start and follow them.

Each execution that Testkube makes of an Experiment's TestWorkflow is followed by a workflow of its own,
`FollowExecution`; each request for one is a `StartExecution`. No I/O here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from experiments.contract import Target, cut, summary
from experiments.evaluation import Counts, Evaluation, MetricScore, Verdict
from experiments.schedule import fires_at
from testkube.executions import ExecutionDetail

FOLLOW_EXECUTION = "FollowExecution"
START_EXECUTION = "StartExecution"
LOOK = "look"
"""Signal of `FollowExecution`: Testkube may have something new to say of it."""
LOOK_AT_EXECUTION = "look_at_execution"
READ_SCORES = "read_scores"
WRITE_EXECUTION = "write_execution"
REQUEST_EXECUTION = "request_execution"
WRITE_EXECUTE_AT = "write_execute_at"
_FOLLOWED = "execution"
_REQUESTED = "start"

OWN_TAGS = "experiment-operator-"
"""What the tags of this service begin with."""
REQUEST_TAG = f"{OWN_TAGS}request"
"""Tag of an execution that this service has started, with the digest of the request's key."""
REASON_TAG = f"{OWN_TAGS}reason"

EXECUTIONS = "experiment_operator_executions"
EXECUTION_DURATION = "experiment_operator_execution_duration"
EXECUTION_LAG = "experiment_operator_execution_lag"
"""Metrics of `FollowExecution`: by verdict; from start to end; from Testkube's end to the verdict in the status."""

Starter: TypeAlias = Literal["Trigger", "Cron", "User", "Service"]

MAX_SCORES = 2000
"""That a run keeps one by one. Of more, it keeps the means and the counts; Testkube's artifact has all."""
_MAX_MEMO_METRICS = 20
_MAX_MEMO_TEXT_BYTES = 300
_MAX_METRIC_BYTES = 40
_ROUND = 6


@dataclass(frozen=True, slots=True)
class ExecutionTarget:
    """An execution (`id` is Testkube's) of the TestWorkflow of an Experiment."""

    target: Target
    workflow: str
    id: str

    def __str__(self) -> str:
        return f"execution {self.id} of {self.target}"

    @property
    def workflow_id(self) -> str:
        return followed_workflow_id(self.target, self.id)

    @property
    def summary(self) -> str:
        return summary(f"{self}")


def followed_workflow_id(target: Target, execution: str) -> str:
    """Name the Temporal workflow that follows this execution of an Experiment."""
    return f"{_FOLLOWED}/{target.namespace}/{target.name}/{target.uid}/{execution}"


def followed_prefix(namespace: str, name: str = "", uid: str = "") -> str:
    """Say what the IDs of all that follow executions of this namespace, name or Experiment begin with."""
    return "/".join(filter(None, (_FOLLOWED, namespace, name, uid))) + "/"


def of_followed(workflow_id: str) -> tuple[Target, str] | None:
    """Return the Experiment and the execution that a workflow of this ID follows."""
    match workflow_id.split("/"):
        case [prefix, namespace, name, uid, execution] if prefix == _FOLLOWED:
            return Target(namespace, name, uid), execution
    return None


@dataclass(slots=True)
class FollowState:
    """The input of `FollowExecution`, and what it hands on when it continues as new.

    `known` is what Testkube last said, `woken` asks for another look, `looks` counts those that found nothing.
    """

    execution: ExecutionTarget
    known: Seen | None = None
    woken: bool = False
    looks: int = 0


@dataclass(slots=True)
class Seen:
    """What Testkube says of an execution. Times are in RFC 3339, empty for "not yet"; `gone` says that it has none.

    `applied` is the digest of what this service had written when it began. `error` says why it could not begin.
    """

    status: str = ""
    finished: bool = False
    number: int = 0
    started_by: str = ""
    start_time: str = ""
    end_time: str = ""
    applied: str = ""
    error: str = ""
    gone: bool = False


@dataclass(slots=True)
class ExecutionReport:
    """What the status is to say of an execution: what Testkube says and, once it has ended, how it was judged."""

    execution: ExecutionTarget
    seen: Seen
    time: str
    verdict: Verdict | None = None
    message: str = ""
    counts: Counts = field(default_factory=Counts)

    @property
    def summary(self) -> str:
        return summary(f"write status of {self.execution.target}: {self.seen.status} {self.verdict or ''}".rstrip())


@dataclass(slots=True)
class Judged:
    """An evaluation as a payload. `scores` are empty where there are more than `MAX_SCORES`, and `cut` says so."""

    verdict: Verdict
    message: str
    counts: Counts
    by_metric: dict[str, float]
    scores: list[MetricScore] = field(default_factory=list)
    cut: bool = False

    @classmethod
    def of(cls, evaluation: Evaluation) -> Judged:
        means = {metric: round(score, _ROUND) for metric, score in evaluation.by_metric.items()}
        keeps = len(evaluation.scores) <= MAX_SCORES
        scores = list(evaluation.scores) if keeps else []
        return cls(evaluation.verdict, evaluation.message, evaluation.counts, means, scores, cut=not keeps)


@dataclass(slots=True)
class ExecutionResult:
    """What `FollowExecution` came to: its result, and the details of its error where the verdict is not Passed."""

    execution: str
    workflow: str
    seen: Seen
    judged: Judged


@dataclass(frozen=True, slots=True)
class ExecutionMemo:
    """What lists know of an execution without opening the history of the run that follows it."""

    experiment: str = ""
    execution: str = ""
    workflow: str = ""
    number: int = 0
    status: str = ""
    started_by: str = ""
    start_time: str = ""
    end_time: str = ""
    verdict: str = ""
    message: str = ""
    total: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0
    by_metric: dict[str, float] = field(default_factory=dict)

    def to_memo(self) -> dict[str, Any]:
        """Leave out what is empty."""
        return {key: value for key, value in asdict(self).items() if value}


def execution_memo(execution: ExecutionTarget, seen: Seen | None = None, judged: Judged | None = None) -> ExecutionMemo:
    """Note what is known of an execution. Of metrics, only some: Temporal complains of a memo above 2 KiB."""
    seen = seen or Seen()
    known = ExecutionMemo(
        experiment=f"{execution.target.namespace}/{execution.target.name}",
        execution=execution.id,
        workflow=execution.workflow,
        number=seen.number,
        status=seen.status,
        started_by=seen.started_by,
        start_time=seen.start_time,
        end_time=seen.end_time,
    )
    if judged is None:
        return known
    means = {
        cut(metric, _MAX_METRIC_BYTES): mean for metric, mean in list(judged.by_metric.items())[:_MAX_MEMO_METRICS]
    }
    judgement = {
        "verdict": judged.verdict,
        "message": cut(judged.message, _MAX_MEMO_TEXT_BYTES),
        "by_metric": means,
        **asdict(judged.counts),
    }
    return ExecutionMemo(**{**asdict(known), **judgement})


@dataclass(slots=True)
class StartRequest:
    """A request for one execution, which is made once per `key`, however often it is repeated.

    `reason` and `tags` are written on it. `execute_at` is the value of the annotation that asks for it, else empty.
    """

    target: Target
    key: str
    reason: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    execute_at: str = ""

    @property
    def workflow_id(self) -> str:
        target = self.target
        return f"{_REQUESTED}/{target.namespace}/{target.name}/{target.uid}/{self.digest}"

    @property
    def digest(self) -> str:
        """Return what stands for the key in tags and IDs, where not all of what people write may stand."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @property
    def summary(self) -> str:
        return summary(f"execute {self.target}" + (f": {self.reason}" if self.reason else ""))


@dataclass(slots=True)
class Started:
    """The execution that a request has come to. `found` says that an earlier attempt had started it."""

    execution: ExecutionTarget
    number: int
    found: bool = False


@dataclass(slots=True)
class ExecuteAt:
    """The value of an annotation that was honoured; `refused` says why nothing was started."""

    target: Target
    value: str
    time: str
    refused: str = ""

    @property
    def summary(self) -> str:
        return summary(f"note that {self.target} was {'not ' if self.refused else ''}executed at {self.value}")


NOT_READY = "NotReady"
"""Error type of a request that is refused: the Experiment is not Ready, being deleted or gone."""
NOT_STARTED = "NotStarted"
"""Error type of a request that Testkube has not taken within a minute. It may be repeated with the same key."""


def task_queue_of_executions(task_queue: str) -> str:
    """Name the queue of these workflows, beside that of reconciliations, which do not wait for Testkube."""
    return f"{task_queue}-executions"


def started_by(detail: ExecutionDetail) -> Starter:
    """Say who began an execution. Of one that Testkube says nothing of, the schedule tells: cron, or a person."""
    execution = detail.execution
    if REQUEST_TAG in execution.tags:
        return "Service"
    if execution.actor:
        return _STARTERS.get(execution.actor, "User")
    began = execution.scheduled_at
    return "Cron" if began and any(fires_at(*each, began) for each in detail.crons) else "User"


_STARTERS: dict[str, Starter] = {"testtrigger": "Trigger", "cron": "Cron"}


def rfc3339(time: datetime | None) -> str:
    """Write a time as statuses have it, in whole seconds; empty for None."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if time else ""


def in_summary(status: str, verdict: str, counts: Counts) -> str:
    """Say in two words how an execution stands, for the column of `kubectl get`: `running`, `Failed 17/20`."""
    if not verdict:
        return status
    return f"{verdict} {counts.passed}/{counts.total}" if counts.total else verdict


def fits(tags: dict[str, str]) -> Sequence[str]:
    """Say what is wrong with tags that people choose; empty where nothing is."""
    reserved = [key for key in tags if key.startswith(OWN_TAGS)]
    wrong = [f"{key}: tags that begin with {OWN_TAGS} are this service's" for key in reserved]
    if len(json.dumps(tags)) > _MAX_TAGS_BYTES:
        wrong.append(f"they have more than {_MAX_TAGS_BYTES} characters")
    return wrong


_MAX_TAGS_BYTES = 4096
