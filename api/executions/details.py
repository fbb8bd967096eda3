"""One execution in full: phases from Testkube, scores and answers from its artifact, or scores from Temporal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

from api.executions import artifacts
from api.executions.artifacts import artifact_file
from api.executions.followers import Follower
from api.executions.rows import between, metrics_of
from api.executions.schemas import (
    AnswerTurn,
    EvaluatedScenario,
    EvaluatedStep,
    Execution,
    ExecutionDetail,
    ExecutionPhase,
    Score,
    Source,
    ToolCall,
)
from api.executions.sources import Sources, testkube_call
from api.http.problems import NoSuchResource
from api.http.sendable import sendable, text
from experiments.evaluation import EVALUATED_EXPERIMENT, REPORT, Evaluation, MetricScore, Step, Turn, read, steps
from experiments.executions import OWN_TAGS, REASON_TAG, ExecutionResult, Judged, in_summary
from experiments.names import UID_LABEL
from testkube.errors import TestkubeError
from testkube.executions import Artifact, Phase
from testkube.executions import ExecutionDetail as DetailInTestkube

# Read, it takes several times as much memory. What is larger can be downloaded.
_MAX_READ_BYTES = 8 * 1024 * 1024
_UID = re.compile("[-0-9a-f]{1,64}")


Beside: TypeAlias = Callable[..., Awaitable[Any]]
"""Does on another thread what takes the processor for long: a function, with its arguments."""


@dataclass(slots=True)
class Found:
    """What is known of an execution: one of both at least."""

    id: str
    detail: DetailInTestkube | None
    follower: Follower | None


@dataclass(slots=True)
class Scores:
    """How it was judged, and by whom that is told. `evaluation` is there where the artifact was read."""

    steps: list[Step] = field(default_factory=list)
    source: Source | None = None
    evaluation: Evaluation | None = None


@dataclass(slots=True)
class Judgement:
    """An execution as lists show it, with all that this rests on."""

    row: Execution
    scores: Scores
    result: ExecutionResult | None
    files: list[Artifact]


async def find(sources: Sources, execution: str) -> Found:
    """Find an execution of this name. Raises NoSuchResource, and ServiceUnavailable where that cannot be told."""
    detail = await sources.ask(_in_testkube(sources, execution))
    subject = sources.subject
    labelled = detail.execution.labels.get(UID_LABEL, "") if detail else ""
    uids = {uid for uid in (labelled, subject.uid) if _UID.fullmatch(uid)}
    follower = await sources.ask(sources.followers.find(subject.namespace, subject.name, execution, uids))
    if detail and follower is None and not subject.owns(detail.execution):
        detail = None
    if detail is None and follower is None:
        if sources.refusals:
            sources.require(None)
        raise NoSuchResource(
            f"There is no execution {execution} of an Experiment {subject.namespace}/{subject.name}. Testkube and "
            "Temporal forget executions after a time."
        )
    return Found(execution, detail, follower)


async def _in_testkube(sources: Sources, execution: str) -> DetailInTestkube | None:
    try:
        async with testkube_call():
            found = await sources.testkube.execution(execution) if sources.testkube else None
    except TestkubeError:
        return None
    # It takes a name in the place of an id, and shows those of others as well.
    return found if found and found.execution.id == execution else None


async def judged(sources: Sources, found: Found, beside: Beside) -> Judgement:
    """Read all that is known of how it was judged."""
    result, files = await asyncio.gather(_result(sources, found), _files(sources, found))
    scores = await _scores(sources, found, result, files, beside)
    row = _row(sources, found, scores, result)
    if any(each.name == REPORT for each in files):
        links = row.links.model_copy(update={"report": f"{row.links.artifacts}/{REPORT}"})
        row = row.model_copy(update={"links": links})
    return Judgement(row, scores, result, files)


async def describe(sources: Sources, found: Found, beside: Beside) -> ExecutionDetail:
    """Tell all that is known of it."""
    judgement = await judged(sources, found, beside)
    scores, result, files = judgement.scores, judgement.result, judgement.files
    detail = found.detail
    tags = detail.execution.tags if detail else {}
    return ExecutionDetail(
        **dict(judgement.row),
        reason=sendable(tags.get(REASON_TAG)),
        tags=sendable({key: value for key, value in tags.items() if not key.startswith(OWN_TAGS)}),
        error=text(_error(detail, result)) or None,
        phases=[_phase(phase) for phase in detail.phases] if detail else [],
        scores_from=scores.source,
        scenarios=await beside(_scenarios, scores.steps),
        artifacts=[artifact_file(sources.subject, found.id, each) for each in files],
        unavailable=sources.unavailable,
    )


async def _result(sources: Sources, found: Found) -> ExecutionResult | None:
    return await sources.ask(sources.followers.result(found.follower)) if found.follower else None


async def _files(sources: Sources, found: Found) -> list[Artifact]:
    if found.detail is None or sources.testkube is None:
        return []
    try:
        return await sources.ask(artifacts.listed(sources.testkube, found.id)) or []
    except NoSuchResource:
        return []


async def _scores(
    sources: Sources, found: Found, result: ExecutionResult | None, files: list[Artifact], beside: Beside
) -> Scores:
    """Read them where the answers are, too; else what Temporal has kept of them."""
    if sources.testkube and any(each.name == EVALUATED_EXPERIMENT for each in files):
        content = await sources.ask(artifacts.read(sources.testkube, found.id, EVALUATED_EXPERIMENT, _MAX_READ_BYTES))
        if content is not None and (parts := await beside(steps, content)):
            return Scores(parts, "artifact", await beside(read, content))
    if result and result.judged.scores:
        return Scores(_as_steps(result.judged.scores), "temporal")
    return Scores()


def _as_steps(scores: Iterable[MetricScore]) -> list[Step]:
    """Make steps of which only the scores are known."""
    return [Step(*of, tuple(found)) for of, found in groupby(scores, lambda score: (score.scenario, score.step))]


def _row(sources: Sources, found: Found, scores: Scores, result: ExecutionResult | None) -> Execution:
    """Sum it up as lists do, in full: a memo is short. One that nobody has followed is judged here."""
    seen = found.detail.execution if found.detail else None
    row = sources.row(seen, found.follower)
    judged = result.judged if result else None
    if judged is None and seen and seen.finished and scores.evaluation and row.verdict is None:
        judged = Judged.of(scores.evaluation)
    if judged is None:
        return row
    said = {
        "verdict": judged.verdict,
        "message": text(judged.message),
        "metrics": metrics_of(judged.counts),
        "by_metric": {text(metric): mean for metric, mean in judged.by_metric.items()},
        "summary": in_summary(row.status or "", judged.verdict, judged.counts),
    }
    return row.model_copy(update=said)


def _error(detail: DetailInTestkube | None, result: ExecutionResult | None) -> str:
    """Say why it went wrong, as far as Testkube says, or has said."""
    if detail is None:
        return result.seen.error if result else ""
    return detail.error or next((phase.error for phase in detail.phases if phase.error), "")


def _phase(phase: Phase) -> ExecutionPhase:
    return ExecutionPhase(
        name=text(phase.name),
        status=phase.status,
        start_time=phase.started_at,
        end_time=phase.finished_at,
        duration_seconds=between(phase.started_at, phase.finished_at),
        error=text(phase.error) or None,
    )


def _scenarios(found: list[Step]) -> list[EvaluatedScenario]:
    """Put steps that follow each other under their scenario, of which two may have the same name."""
    scenarios: list[EvaluatedScenario] = []
    last = None
    for step in found:
        if last is None or step.scenario != last.scenario or step.number <= last.number:
            scenarios.append(EvaluatedScenario(name=text(step.scenario), steps=[]))
        scenarios[-1].steps.append(_step(step))
        last = step
    return scenarios


def _step(step: Step) -> EvaluatedStep:
    return EvaluatedStep(
        input=text(step.input) or None,
        error=text(step.error) or None,
        turns=[_turn(turn) for turn in step.turns],
        metrics=[score(each) for each in step.scores],
    )


def _turn(turn: Turn) -> AnswerTurn:
    calls = [
        ToolCall(name=text(str(each.get("name") or "")), args=sendable(each.get("args"))) for each in turn.tool_calls
    ]
    return AnswerTurn(type=text(turn.type), content=text(turn.content), tool_calls=calls)


def score(found: MetricScore) -> Score:
    """Show how one metric judged one step."""
    return Score(
        metric=text(found.metric),
        variant=text(found.variant) or None,
        score=found.score,
        threshold=found.threshold,
        passed=found.passed,
        error=text(found.error) or None,
    )
