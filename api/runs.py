"""The runs of an Experiment, as Temporal remembers them: also of deleted Experiments, as long as it keeps them.

Temporal's visibility tells which runs there are; it lags behind by up to a second or so. How a run ended stands only
in its history, of which a list needs the last event. `history` reads the events, `reconciliations` serves the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from api.history import Ending, Signal, Step, Timeline, ending
from api.problems import NotFound, TemporalUnavailable
from experiments.models import Part
from experiments.reconciliation import WORKFLOW_TYPE, Target, workflow_id_prefix

log = structlog.get_logger(__name__)

_PATIENCE_SECONDS = 5
_PROBE = timedelta(seconds=1)
_FETCHES_AT_ONCE = 20


class Reconciliation(Part):
    """One run. `outcome` is Running, what a completed run came to, or the reason for which it failed.

    `uid` tells apart the objects that had the name one after the other. `changes` and the final `reasons` are known
    once the run has ended.
    """

    run_id: str
    workflow_id: str
    uid: str
    status: Literal["Running", "Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew"]
    outcome: str
    message: str
    reasons: list[str]
    changes: list[str]
    start_time: datetime
    close_time: datetime | None
    duration_seconds: float | None
    temporal_url: str


class ReconciliationDetail(Reconciliation):
    """One run with its steps in order, and what woke it."""

    steps: list[Step]
    signals: list[Signal]


class Runs:
    """Every method raises `TemporalUnavailable` when Temporal does not answer in time."""

    def __init__(self, client: Client, ui_url: str) -> None:
        self._client = client
        self._ui_url = ui_url
        self._converter = client.data_converter.payload_converter

    async def check(self) -> None:
        """Ask for the namespace: that needs the server, the credentials and the namespace to be right."""
        request = DescribeNamespaceRequest(namespace=self._client.namespace)
        async with _asking_temporal():
            await self._client.workflow_service.describe_namespace(request, timeout=_PROBE)

    async def newest(self, namespace: str, name: str, limit: int) -> list[Reconciliation]:
        """The newest runs of every Experiment that has or had this name, newest first."""
        async with _asking_temporal():
            found = [
                run async for run in self._client.list_workflows(_query(namespace, name), limit=limit, page_size=limit)
            ]
            gate = asyncio.Semaphore(_FETCHES_AT_ONCE)
            read = await asyncio.gather(*(self._summary(run, gate) for run in found))
        # Visibility cannot be asked for an order. Its own is: open runs, then by the time of their end.
        return sorted(filter(None, read), key=lambda run: run.start_time, reverse=True)

    async def one(self, namespace: str, name: str, run_id: str, uid: str | None) -> ReconciliationDetail:
        """A run by its ID. With the `uid` of the Experiment, also one that visibility does not know yet.

        Raises NotFound.
        """
        async with _asking_temporal():
            described = await self._find(namespace, name, run_id, uid)
            if described is None:
                raise NotFound(
                    f"Temporal has no run {run_id} of an Experiment {namespace}/{name}. It forgets runs that have "
                    "ended after its retention period."
                )
            history = await self._handle(described.id, run_id).fetch_history()
            reasons = await _reasons(described)
        timeline = Timeline(history.events, described.raw_description.pending_activities, self._converter)
        reasons = list(dict.fromkeys([*reasons, *(why for signal in timeline.signals for why in signal.reasons)]))
        run = self._reconciliation(described, reasons, ending(history.events[-1], self._converter))
        return ReconciliationDetail(**dict(run), steps=timeline.steps, signals=timeline.signals)

    def url(self, workflow_id: str, run_id: str) -> str:
        """Where Temporal's UI shows this run."""
        workflow = f"{self._ui_url}/namespaces/{quote(self._client.namespace)}/workflows/{quote(workflow_id, safe='')}"
        return f"{workflow}/{run_id}/history"

    def _handle(self, workflow_id: str, run_id: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(workflow_id, run_id=run_id)

    async def _summary(self, run: WorkflowExecution, gate: asyncio.Semaphore) -> Reconciliation | None:
        async with gate:
            try:
                ended = await self._ending(run)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None  # forgotten since the list was made
                raise
        return self._reconciliation(run, await _reasons(run), ended)

    async def _ending(self, run: WorkflowExecution) -> Ending | None:
        handle = self._handle(run.id, run.run_id)
        # Asked for the last event of an open run, the server waits 20 s for it; and visibility may be behind.
        if _is_open(run) and _is_open(await handle.describe()):
            return None
        history = await handle.fetch_history(event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT)
        return ending(history.events[-1], self._converter)

    async def _find(
        self, namespace: str, name: str, run_id: str, uid: str | None
    ) -> WorkflowExecutionDescription | None:
        if uid and (described := await self._describe(Target(namespace, name, uid).workflow_id, run_id)):
            return described
        query = f"{_query(namespace, name)} AND RunId = '{run_id}'"
        listed = [run.id async for run in self._client.list_workflows(query, limit=1)]
        return await self._describe(listed[0], run_id) if listed else None

    async def _describe(self, workflow_id: str, run_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self._handle(workflow_id, run_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    def _reconciliation(self, run: WorkflowExecution, reasons: list[str], ended: Ending | None) -> Reconciliation:
        target = Target.from_workflow_id(run.id)
        return Reconciliation(
            run_id=run.run_id,
            workflow_id=run.id,
            uid=target.uid if target else "",
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


def _query(namespace: str, name: str) -> str:
    return f"WorkflowType = '{WORKFLOW_TYPE}' AND WorkflowId STARTS_WITH '{workflow_id_prefix(namespace, name)}'"


def _is_open(run: WorkflowExecution) -> bool:
    return run.status is WorkflowExecutionStatus.RUNNING


async def _reasons(run: WorkflowExecution) -> list[str]:
    """What the run was started for, from its memo."""
    return await run.memo_value("reasons", [], type_hint=list[str])


@asynccontextmanager
async def _asking_temporal() -> AsyncIterator[None]:
    """The client itself repeats a call for ten seconds, which is longer than anybody waits for a page."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            yield
    except RPCError as error:
        raise _unavailable(error, error.message) from error
    except TimeoutError as error:
        raise _unavailable(error, f"nothing within {_PATIENCE_SECONDS} s") from error
    except RuntimeError as error:  # what a client raises that connects lazily, and could not yet
        raise _unavailable(error, "no connection") from error


def _unavailable(error: Exception, why: str) -> TemporalUnavailable:
    log.warning("Temporal does not answer", why=why, error=str(error))
    return TemporalUnavailable(f"Temporal, which keeps the history, does not answer: {why.rstrip('.')}.")
