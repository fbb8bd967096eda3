"""The runs of an Experiment, as Temporal remembers them: also of deleted Experiments, as long as it keeps them.

Temporal's visibility tells which runs there are; it lags behind by up to a second or so. How a run ended stands in its
memo, or where that is not so (it was terminated, or has too much to tell) in the last event of its history. `history`
and `close_event` read the events, `pages` makes pages of runs, `endpoints` serves the answers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote

import structlog
from pydantic import TypeAdapter
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from api.http.problems import NoSuchResource, TemporalUnavailable
from api.reconciliations.close_event import Closed, CloseEvent, read_close_event
from api.reconciliations.history import Timeline
from api.reconciliations.schemas import OUTCOMES, ChildChange, Reconciliation, ReconciliationDetail, Status
from experiments.changes import from_words
from experiments.contract import WORKFLOW_TYPE, RunMemo, Target, workflow_id_prefix
from temporal.search_attributes import EXPERIMENT_NAMESPACE, RECONCILIATION_OUTCOME

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 5
_MAX_FETCHES_AT_ONCE = 20
_MEMO = TypeAdapter(RunMemo)
_NOBODY = Target("", "", "")
"""Of a run that somebody began by hand, under an ID of their own."""


class Runs:
    """Every method raises `TemporalUnavailable` when Temporal does not answer in time."""

    def __init__(self, client: Client, ui_url: str, *, search_attributes: bool = False) -> None:
        self.search_attributes = search_attributes
        self._client = client
        self._ui_url = ui_url
        self._converter = client.data_converter.payload_converter

    async def listed(self, query: str, size: int) -> list[WorkflowExecution]:
        """List the first `size` runs of `query` in visibility: those that are open, then the last to end first."""
        async with temporal_call():
            return [run async for run in self._client.list_workflows(query, limit=size, page_size=size)]

    async def all(self, query: str) -> list[WorkflowExecution]:
        """List all runs of `query`, in the same order."""
        async with temporal_call():
            return [run async for run in self._client.list_workflows(query)]

    async def count(self, query: str) -> int:
        """Count the runs that visibility has for `query`."""
        async with temporal_call():
            return (await self._client.count_workflows(query)).count

    async def exists(self, namespace: str, name: str) -> bool:
        """Tell whether there is a run of any Experiment that has or had this name."""
        return bool(await self.listed(query_by_name(namespace, name), 1))

    async def counts(self, query: str) -> dict[str, int]:
        """Count the runs that visibility has for `query`, by status or, where search attributes tell, by outcome."""
        async with temporal_call():
            counted = await self._client.count_workflows(f"{query} GROUP BY ExecutionStatus")
            counts = Counter({str(group.group_values[0]): group.count for group in counted.groups})
            if self.search_attributes:
                for status, outcome, count in await self._outcomes(query, list(counts)):
                    counts[outcome] += count
                    counts[status] -= count
        return {name: count for name, count in counts.items() if count > 0}

    async def _outcomes(self, query: str, statuses: Iterable[str]) -> list[tuple[str, str, int]]:
        """Count the runs of each outcome. One by one: visibility groups by nothing but the status."""
        asked = [(status, outcome) for status in statuses for outcome in OUTCOMES.get(cast(Status, status), ())]
        queries = [f"{query} AND ExecutionStatus = '{status}' AND {has_outcome(outcome)}" for status, outcome in asked]
        counted = await asyncio.gather(*map(self._client.count_workflows, queries))
        return [(*which, found.count) for which, found in zip(asked, counted, strict=True)]

    async def read(self, runs: Iterable[WorkflowExecution]) -> list[Reconciliation]:
        """Read those of `runs` that Temporal still has, in the same order, as they are now."""
        gate = asyncio.Semaphore(_MAX_FETCHES_AT_ONCE)
        async with temporal_call():
            read = await asyncio.gather(*(self._summary(run, gate) for run in runs))
        return [run for run in read if run]

    async def one(self, namespace: str, name: str, run_id: str, uid: str | None) -> ReconciliationDetail:
        """Read a run by its ID. With the `uid` of the Experiment, also one that visibility does not know yet.

        Raises NoSuchResource.
        """
        async with temporal_call():
            described = await self._find(namespace, name, run_id, uid)
            if described is None:
                raise NoSuchResource(
                    f"Temporal has no run {run_id} of an Experiment {namespace}/{name}. It forgets runs that have "
                    "ended after its retention period."
                )
            history = await self._handle(described.id, run_id).fetch_history()
        timeline = Timeline(history.events, described.raw_description.pending_activities, self._converter)
        ended = read_close_event(history.events[-1], self._converter)
        return _detail(self._reconciliation(described, timeline.reasons, ended), timeline)

    async def wait_closed(self, target: Target, run_id: str) -> None:
        """Return when this run has ended, however long that takes."""
        events = self._handle(target.workflow_id, run_id).fetch_history_events(
            wait_new_event=True, event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
        )
        async with temporal_call(limited=False):
            await anext(events)

    def url(self, workflow_id: str, run_id: str) -> str:
        """Link to this run in Temporal's UI."""
        workflow = f"{self._ui_url}/namespaces/{quote(self._client.namespace)}/workflows/{quote(workflow_id, safe='')}"
        return f"{workflow}/{run_id}/history"

    def _handle(self, workflow_id: str, run_id: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(workflow_id, run_id=run_id)

    async def _summary(self, run: WorkflowExecution, gate: asyncio.Semaphore) -> Reconciliation | None:
        note = await read_memo(run)
        if run.close_time and note.message:
            status = cast(Closed, status_of(run))
            ended = CloseEvent(status, note.outcome, note.message, run.close_time, note.reasons, note.changes)
            return self._reconciliation(run, note.reasons, ended)
        async with gate:
            with unless_forgotten():  # since the list was made
                return self._reconciliation(run, note.reasons, await self._ending(run))
        return None

    async def _ending(self, run: WorkflowExecution) -> CloseEvent | None:
        handle = self._handle(run.id, run.run_id)
        # Asked for the last event of an open run, the server waits 20 s for it; and visibility may be behind.
        if _is_open(run) and _is_open(await handle.describe()):
            return None
        history = await handle.fetch_history(event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT)
        return read_close_event(history.events[-1], self._converter)

    async def _find(
        self, namespace: str, name: str, run_id: str, uid: str | None
    ) -> WorkflowExecutionDescription | None:
        if uid and (described := await self._describe(Target(namespace, name, uid).workflow_id, run_id)):
            return described
        listed = await self.listed(f"{query_by_name(namespace, name)} AND RunId = '{run_id}'", 1)
        return await self._describe(listed[0].id, run_id) if listed else None

    async def _describe(self, workflow_id: str, run_id: str) -> WorkflowExecutionDescription | None:
        with unless_forgotten():
            return await self._handle(workflow_id, run_id).describe()
        return None

    def _reconciliation(self, run: WorkflowExecution, reasons: list[str], ended: CloseEvent | None) -> Reconciliation:
        target = Target.from_workflow_id(run.id) or _NOBODY
        return Reconciliation(
            run_id=run.run_id,
            workflow_id=run.id,
            namespace=target.namespace,
            name=target.name,
            uid=target.uid,
            status=ended.status if ended else "Running",
            outcome=ended.outcome if ended else "Running",
            message=ended.message if ended else "",
            reasons=(ended and ended.reasons) or reasons,
            changes=ended.changes if ended else [],
            start_time=run.start_time,
            close_time=ended.time if ended else None,
            duration_seconds=(ended.time - run.start_time).total_seconds() if ended else None,
            temporal_url=self.url(run.id, run.run_id),
        )


def query_all() -> str:
    """Select, as a query for visibility, the runs of all Experiments."""
    return f"WorkflowType = '{WORKFLOW_TYPE}'"


def query_by_namespaces(namespaces: Iterable[str]) -> str:
    """Select the runs of all Experiments in `namespaces`, of which there is at least one.

    By their IDs, which all runs have: search attributes have only those that began since there are some.
    """
    prefixes = [f"WorkflowId STARTS_WITH '{workflow_id_prefix(namespace)}'" for namespace in sorted(namespaces)]
    return f"{query_all()} AND ({' OR '.join(prefixes)})"


def query_by_name(namespace: str, name: str) -> str:
    """Select the runs of every Experiment that has or had this name."""
    return f"{query_all()} AND WorkflowId STARTS_WITH '{workflow_id_prefix(namespace, name)}'"


def query_by_target(target: Target) -> str:
    """Select the runs of one Experiment, and of none that had its name before or after."""
    return f"{query_all()} AND WorkflowId = '{target.workflow_id}'"


def begun_within(start: datetime, end: datetime) -> str:
    """Select, as part of a query for visibility, the runs that began from `start` on and before `end`."""
    first, last = (time.astimezone(UTC).isoformat() for time in (start, end))
    return f"StartTime >= '{first}' AND StartTime < '{last}'"


def has_outcome(outcome: str) -> str:
    """Select, as part of a query for visibility, the runs that came to it, as far as search attributes tell."""
    return f"{RECONCILIATION_OUTCOME.name} = '{outcome}'"


WITHOUT_ATTRIBUTES = f"{EXPERIMENT_NAMESPACE.name} IS NULL"
"""The runs that began before they were used."""


async def read_memo(run: WorkflowExecution) -> RunMemo:
    """Read what the run has noted; nothing where that is of a version that noted other things."""
    try:
        return _MEMO.validate_python(await run.memo())
    except (ValueError, KeyError, RuntimeError):
        return RunMemo()


def status_of(run: WorkflowExecution) -> Status:
    """Name the status as Temporal's UI does."""
    return cast(Status, run.status.name.title().replace("_", "") if run.status else "Running")


def _is_open(run: WorkflowExecution) -> bool:
    return run.status is WorkflowExecutionStatus.RUNNING


def _detail(run: Reconciliation, timeline: Timeline) -> ReconciliationDetail:
    is_open = run.status == "Running"
    if not is_open:
        for step in timeline.steps:
            step.next_attempt_time = None
    changes = timeline.changes if is_open else run.changes
    done = [change for change in map(from_words, changes) if change]
    known = {**dict(run), "changes": changes, "message": timeline.trouble if is_open else run.message}
    return ReconciliationDetail(
        **known,
        children=[ChildChange(**asdict(change)) for change in done],
        status_written=timeline.status_written,
        current_step=timeline.current if is_open else None,
        steps=timeline.steps,
        signals=timeline.signals,
    )


@asynccontextmanager
async def temporal_call(*, limited: bool = True) -> AsyncIterator[None]:
    """Raise `TemporalUnavailable` where a call fails or, if it is `limited`, takes longer than a few seconds.

    The client itself repeats a call for ten seconds, which is longer than anybody waits for a page.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS if limited else None):
            yield
    except RPCError as error:
        raise _unavailable(error, error.message) from error
    except TimeoutError as error:
        raise _unavailable(error, f"nothing within {_TIMEOUT_SECONDS} s") from error
    except RuntimeError as error:  # what a client raises that connects lazily, and could not yet
        raise _unavailable(error, "no connection") from error


@contextmanager
def unless_forgotten() -> Iterator[None]:
    """Leave where Temporal does not have what it is asked about, or not any more."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _unavailable(error: Exception, why: str) -> TemporalUnavailable:
    log.warning("Temporal does not answer", why=why, error=str(error))
    return TemporalUnavailable(f"Temporal, which keeps the history, does not answer: {why.rstrip('.')}.")
