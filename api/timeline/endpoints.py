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
from api.reconciliations.visibility import Runs, begun_within, query_by_name
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
    timeline = _Timeline(state.runs, Sources.of(state, namespace, name))
    items, next_cursor = await page(timeline.stretch, query, f"{timeline.sources.subject.path} timeline")
    if not items and not next_cursor and not timeline.sources.refusals:
        require_experiment(state.caches, namespace, name)
    return TimelinePage(items=items, next_cursor=next_cursor, unavailable=timeline.sources.unavailable)


@dataclass(slots=True)
class _Timeline:
    runs: Runs
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
        query, end = query_by_name(self.sources.subject.namespace, self.sources.subject.name), before[0] + _MOMENT

        async def count(start: datetime) -> int:
            return await self.runs.count(f"{query} AND {begun_within(start, end)}")

        start = await window(count, min(end, datetime.now(UTC)), since, size)
        listed = await self.runs.all(f"{query} AND {begun_within(start or since, end)}")
        keyed = sorted(((_key(run), run) for run in listed), key=lambda each: each[0], reverse=True)
        found = [(key, run) for key, run in keyed if key < before]
        # Each may have to be read: no more than are wanted.
        wanted = dict(found[:size])
        read = await self.runs.read(wanted.values())
        items = [((run.start_time, 0, run.run_id), _item(run)) for run in read]
        if len(found) > size:
            return Stretch(items, found[size - 1][0])
        return Stretch(items, at(start) if start else None)


def _key(run: WorkflowExecution) -> Key:
    return run.start_time, 0, run.run_id


def _item(run: Reconciliation) -> TimelineItem:
    return TimelineItem(kind="reconciliation", time=run.start_time, reconciliation=run)
