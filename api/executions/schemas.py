"""What the api says of executions. `rows` and `details` fill it in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field

from experiments.evaluation import Effect, Verdict
from experiments.executions import Starter, fits
from experiments.models import ExecutionMetrics, Part

Source: TypeAlias = Literal["artifact", "temporal"]
"""Where scores were read: in the file that Testkube keeps, or in what the run that followed the execution has kept."""

_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_MAX_TAGS = 20


class ExecutionLinks(Part):
    """Where to read on. `temporal` is null where no run has followed it, `report` where none is known."""

    itself: str = Field(alias="self")
    artifacts: str
    report: str | None = None
    temporal: str | None = None


class Execution(Part):
    """One execution of an Experiment's TestWorkflow. `status` is Testkube's; `verdict` is how the agent did.

    `message` says in a sentence what the verdict rests on, `by_metric` are the mean scores of each metric. What nobody
    knows is null: a verdict, before it was judged, or of an execution that was never followed; who started it.
    """

    execution_id: str
    execution_number: int | None
    namespace: str
    name: str
    uid: str | None
    workflow: str
    status: str | None
    started_by: Starter | None
    start_time: datetime
    end_time: datetime | None
    duration_seconds: float | None
    verdict: Verdict | None
    message: str | None
    metrics: ExecutionMetrics | None
    by_metric: dict[str, float]
    summary: str | None
    links: ExecutionLinks


class ExecutionPage(Part):
    """Executions, the newest by their start first. `next_cursor` is null on the last page, and only there.

    With filters a page may be short, or empty, and still not be the last. `unavailable` says what could not be asked:
    what only that knows is missing.
    """

    items: list[Execution]
    next_cursor: str | None
    unavailable: list[str]


class ExecutionPhase(Part):
    """One phase. `status` is Testkube's, `error` its sentence where the phase failed."""

    name: str
    status: str
    start_time: datetime | None
    end_time: datetime | None
    duration_seconds: float | None
    error: str | None


class Score(Part):
    """How one metric judged one step. `score` is 0 to 1, null where it had an error; `variant` are its parameters."""

    metric: str
    variant: str | None
    score: float | None
    threshold: float | None
    passed: bool
    error: str | None


class ToolCall(Part):
    name: str
    args: Any


class AnswerTurn(Part):
    """What was said, by `human`, `agent` or `tool`."""

    type: str
    content: str
    tool_calls: list[ToolCall]


class EvaluatedStep(Part):
    """One step. `error` stands where the agent did not answer. Without the artifact, nobody knows what was said."""

    input: str | None
    error: str | None
    turns: list[AnswerTurn]
    metrics: list[Score]


class EvaluatedScenario(Part):
    name: str
    steps: list[EvaluatedStep]


class ArtifactFile(Part):
    """A file that an execution has left. `size` is in bytes; `link` is where to get it."""

    path: str
    size: int
    content_type: str
    link: str


class ArtifactList(Part):
    items: list[ArtifactFile]


class ExecutionDetail(Execution):
    """One execution with its phases, what was asked and answered, and how each metric judged it.

    `scores_from` says where `scenarios` come from, null where no scores are known. `error` is why it went wrong, as far
    as Testkube says; `reason` and `tags` are those with which it was started. `unavailable` says what could not be
    asked: what only that knows is missing.
    """

    reason: str | None
    tags: dict[str, str]
    error: str | None
    phases: list[ExecutionPhase]
    scores_from: Source | None
    scenarios: list[EvaluatedScenario]
    artifacts: list[ArtifactFile]
    unavailable: list[str]


class ScoreChange(Part):
    """One metric in two executions. `change` is the score of `head` less that of `base`; `step` counts from 0.

    `base` is null for what is `added`, `head` for what is `removed`.
    """

    scenario: str
    step: int
    metric: str
    variant: str | None
    base: Score | None
    head: Score | None
    change: float | None
    effect: Effect


class Comparison(Part):
    """Two executions, metric by metric, the greatest harm first. `counts` are by effect."""

    base: Execution
    head: Execution
    base_scores_from: Source
    head_scores_from: Source
    counts: dict[Effect, int]
    items: list[ScoreChange]
    unavailable: list[str]


def _tags(tags: dict[str, str]) -> dict[str, str]:
    if wrong := fits(tags):
        raise ValueError("; ".join(wrong))
    return tags


_Key = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$")]
_Value = Annotated[str, Field(max_length=200, pattern=_ONE_LINE)]


_Tags = Annotated[dict[_Key, _Value], Field(max_length=_MAX_TAGS), AfterValidator(_tags)]


class ExecutionRequest(Part):
    """Why somebody wants an execution, in one line, and tags for it; both are written on it in Testkube."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=200, pattern=_ONE_LINE, examples=["a new prompt"])] = ""
    tags: Annotated[_Tags, Field(default_factory=dict, examples=[{"commit": "0f3d5a1"}])]
