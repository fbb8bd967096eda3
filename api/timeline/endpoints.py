"""`GET …/{name}/timeline`: what was done to an Experiment and how its agent did, in one list by time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from temporalio.client import WorkflowExecution

from api.auth.dependencies import MayGet
from api.dependencies import State, require_experiment
from api.executions.pages import TimeQuery, page
from api.executions.sources import Sources
from api.executions.stretches import Key, Stretch, at, merged, window
from api.http.path import Name, Namespace
from api.http.problems import documented
from api.reconciliations.schemas import Reconciliation
from api.reconciliations.visibility import begun_within, query_by_name
from api.timeline.schemas import TimelineItem, TimelinePage

router = APIRouter(prefix="/api/v1", tags=["Timeline"])

# The server knows times more exactly: what began in the same moment is told apart by its ID.
_MOMENT = timedelta(microseconds=1)


@router.get(
    "/namespaces/{namespace}/experiments/{name}/timeline",
    summary="List reconciliations and executions of an Experiment, newest first",
    description="Also of an Experiment that was deleted, and of earlier ones of the name, while Temporal or Testkube "
    "keeps them.",
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def get_timeline(
    namespace: Namespace, name: Name, query: Annotated[TimeQuery, Query()], state: State
) -> TimelinePage:
    sources = Sources.of(state, namespace, name)
    items, next_cursor = await page(_Timeline(sources).stretch, query, f"{sources.subject.path} timeline")
    if not items and not next_cursor and not sources.refusals:
        require_experiment(state.caches, namespace, name)
    return TimelinePage(items=items, next_cursor=next_cursor, unavailable=sources.unavailable)


@dataclass(slots=True)
class _Timeline:
    sources: Sources

    async def stretch(self, before: Key, since: datetime, size: int) -> Stretch[TimelineItem]:
        """List the newest of both. Raises ServiceUnavailable where nothing has answered."""
        asked = (self._reconciliations(before, since, size), self._executions(before, since, size))
        done, executed = await asyncio.gather(*map(self.sources.ask, asked))
        self.sources.require(done, executed)
        return merged(each for each in (done, executed) if each)

    async def _executions(self, before: Key, since: datetime, size: int) -> Stretch[TimelineItem]:
        found = await self.sources.stretch(before, since, size)
        items = [(key, TimelineItem(kind="execution", time=key[0], execution=each)) for key, each in found.items]
        return Stretch(items, found.reached)

    async def _reconciliations(self, before: Key, since: datetime, size: int) -> Stretch[TimelineItem]:
        runs, subject = self.sources.runs, self.sources.subject
        query, end = query_by_name(subject.namespace, subject.name), before[0] + _MOMENT
        start = await window(runs.count, query, min(end, datetime.now(UTC)), since, size)
        listed = await runs.all(f"{query} AND {begun_within(start or since, end)}")
        found = {_key(run): run for run in listed if _key(run) < before}
        newest = sorted(found, reverse=True)
        # Each may have to be read: no more than are wanted.
        read = await runs.read(found[key] for key in newest[:size])
        items = [
            (_key(run), TimelineItem(kind="reconciliation", time=run.start_time, reconciliation=run)) for run in read
        ]
        if len(newest) > size:
            return Stretch(items, newest[size - 1])
        return Stretch(items, at(start) if start else None)


def _key(run: WorkflowExecution | Reconciliation) -> Key:
    return run.start_time, 0, run.run_id
