"""Two executions compared metric by metric: which two, and where their scores are read."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import Query

from api.executions.details import Beside, Judgement, find, judged, score
from api.executions.pages import first
from api.executions.rows import key_of
from api.executions.schemas import Comparison, Execution, ScoreChange
from api.executions.sources import Sources
from api.http.problems import NoSuchResource
from api.http.sendable import text
from experiments.evaluation import Change, MetricScore, compare

_MAX_DIGITS = 9  # of a number: what has more is an id

_PATTERN = "^[0-9A-Za-z][-0-9A-Za-z]{0,63}$"
_EITHER = "by `executionId` or `executionNumber`."
Base = Annotated[str | None, Query(pattern=_PATTERN, description=f"The one to compare with, {_EITHER}", examples=["1"])]
Head = Annotated[str | None, Query(pattern=_PATTERN, description=f"The one to compare, {_EITHER}", examples=["2"])]


async def comparison(sources: Sources, base: str | None, head: str | None, beside: Beside) -> Comparison:
    """Compare two. By default `head` is the newest that was judged, and `base` the one before it.

    Raises NoSuchResource, and ServiceUnavailable where that cannot be told.
    """
    newer = await _id_of(sources, head) if head else (await _judged(sources)).execution_id
    after = await judged(sources, await find(sources, newer), beside)
    older = await _id_of(sources, base) if base else (await _judged(sources, after.row)).execution_id
    before = await judged(sources, await find(sources, older), beside)
    changes = await beside(_changes, _scores(before), _scores(after))
    return Comparison(
        base=before.row,
        head=after.row,
        base_scores_from=before.scores.source,
        head_scores_from=after.scores.source,
        counts=Counter(change.effect for change in changes),
        items=changes,
        unavailable=sources.unavailable,
    )


async def _id_of(sources: Sources, which: str) -> str:
    if not (which.isdecimal() and len(which) <= _MAX_DIGITS):
        return which
    found = await first(sources.stretch, lambda each: each.execution_number == int(which))
    if found is None:
        raise NoSuchResource(
            f"Among the newest executions, none has the number {which}. Older ones are found by their id."
        )
    return found.execution_id


async def _judged(sources: Sources, before: Execution | None = None) -> Execution:
    """Find the newest that was judged, or the newest that was before another."""

    def has_scores(each: Execution) -> bool:
        return each.verdict not in {None, "NotEvaluated"}

    found = await first(sources.stretch, has_scores, key_of(before) if before else None)
    if found is None:
        where = f" before execution {before.execution_number}" if before else ""
        raise NoSuchResource(f"No execution was judged{where}, so there is nothing to compare.")
    return found


def _scores(judgement: Judgement) -> list[MetricScore]:
    if judgement.scores.source is None:
        raise NoSuchResource(f"The scores of execution {judgement.row.execution_id} are not known, or not any more.")
    return [score for step in judgement.scores.steps for score in step.scores]


def _changes(base: list[MetricScore], head: list[MetricScore]) -> list[ScoreChange]:
    return [_shown(change) for change in compare(base, head)]


def _shown(change: Change) -> ScoreChange:
    either = change.head or change.base
    return ScoreChange(
        scenario=text(change.scenario),
        step=change.step,
        metric=text(change.metric),
        variant=text(either.variant) if either and either.variant else None,
        base=score(change.base) if change.base else None,
        head=score(change.head) if change.head else None,
        change=change.change,
        effect=change.effect,
    )
