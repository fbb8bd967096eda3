"""The steps of the workflows that follow and start executions: each makes the few calls that its name says.

What Testkube has not said is never made up. A status is written only where it changes something, and never over that
of an execution that began later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from experiments.conditions import evaluated, executions_observed, why_not_ready, with_conditions
from experiments.contract import Target
from experiments.errors import TestkubeUnavailable
from experiments.evaluation import EVALUATED_EXPERIMENT, MAX_ARTIFACT_BYTES, Evaluation, not_evaluated, read
from experiments.executions import (
    LOOK_AT_EXECUTION,
    NOT_READY,
    READ_SCORES,
    REASON_TAG,
    REQUEST_EXECUTION,
    REQUEST_TAG,
    WRITE_EXECUTE_AT,
    WRITE_EXECUTION,
    ExecuteAt,
    ExecutionReport,
    ExecutionTarget,
    Judged,
    Seen,
    Started,
    StartRequest,
    in_summary,
    rfc3339,
    started_by,
)
from experiments.models import ExecutionMetrics, LastExecution, parse_status
from experiments.names import APPLIED, placement
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from kube.errors import ConflictError, NotServedError
from kube.objects import Object, ObjectRef
from testkube.client import TestkubeClient
from testkube.errors import NotFound, TestkubeError
from testkube.executions import Execution
from worker.events import EventRecorder
from worker.failures import as_application_error

_MAX_ATTEMPT = timedelta(seconds=12)
"""Of `request_execution`. Temporal begins the next one later than that, so that no two are under way."""
_MAX_TRIES_TO_WRITE = 5
_CATCH_UP_DELAY = timedelta(seconds=1)
# How far back an execution is looked for that an earlier request of the same key may have started.
_MAX_AGE_OF_A_REQUEST = timedelta(days=1)


class ExecutionActivities:
    def __init__(self, client: KubeClient, testkube: TestkubeClient, options: Options) -> None:
        self._client, self._testkube, self._options = client, testkube, options
        self._events = EventRecorder(client)

    def all(self) -> list[Callable[..., Awaitable[object]]]:
        """List what is to be registered with a Temporal worker."""
        return [
            self.look_at_execution,
            self.read_scores,
            self.write_execution,
            self.request_execution,
            self.write_execute_at,
        ]

    @activity.defn(name=LOOK_AT_EXECUTION)
    async def look_at_execution(self, execution: ExecutionTarget) -> Seen:
        """Ask Testkube how it stands."""
        try:
            detail = await self._testkube.execution(execution.id)
        except NotFound:
            return Seen(gone=True)
        except TestkubeError as error:
            raise _unavailable(error) from error
        found = detail.execution
        return Seen(
            status=found.status,
            finished=found.finished,
            number=found.number,
            started_by=started_by(detail),
            start_time=rfc3339(found.scheduled_at or found.started_at),
            end_time=rfc3339(found.finished_at) if found.finished else "",
            applied=found.annotations.get(APPLIED, ""),
            error=detail.error or next((phase.error for phase in detail.phases if phase.error), ""),
        )

    @activity.defn(name=READ_SCORES)
    async def read_scores(self, execution: ExecutionTarget) -> Judged:
        """Read the scores that it has left, and judge by them."""
        try:
            return Judged.of(await self._evaluation(execution))
        except TestkubeError as error:
            raise _unavailable(error) from error

    async def _evaluation(self, execution: ExecutionTarget) -> Evaluation:
        try:
            listed = await self._testkube.artifacts(execution.id)
            if all(each.name != EVALUATED_EXPERIMENT for each in listed):
                return not_evaluated(await self._why_without_scores(execution))
        except NotFound:
            return not_evaluated("Testkube has no such execution any more, nor its scores.")
        content = await self._testkube.read_artifact(execution.id, EVALUATED_EXPERIMENT, MAX_ARTIFACT_BYTES)
        if content is None:
            return not_evaluated(f"{EVALUATED_EXPERIMENT} is larger than {MAX_ARTIFACT_BYTES // 2**20} MiB.")
        return read(content)

    async def _why_without_scores(self, execution: ExecutionTarget) -> str:
        """Say where an execution has stopped that left no scores."""
        detail = await self._testkube.execution(execution.id)
        status = detail.execution.status
        if status == "passed":
            return f"It passed, and has left no {EVALUATED_EXPERIMENT}."
        stopped = next((phase for phase in detail.phases if phase.status not in {"passed", "skipped"}), None)
        where = f" in phase {stopped.name}" if stopped and stopped.name else ""
        why = detail.error or (stopped.error if stopped else "")
        return f"It was {status}{where} before there were scores{f': {why}' if why else '.'}"

    @activity.defn(name=WRITE_EXECUTION)
    async def write_execution(self, report: ExecutionReport) -> str:
        """Write `status.lastExecution` and the conditions. Says in words what came of it."""
        return await self._write(report.execution.target, lambda live: _status_of(report, live), report.summary)

    @activity.defn(name=WRITE_EXECUTE_AT)
    async def write_execute_at(self, done: ExecuteAt) -> str:
        """Note that an annotation was honoured; where nothing was started, an Event says why."""
        if done.refused:
            run_id = activity.info().workflow_run_id or ""
            words = f"Not executed: {done.refused}"
            await self._events.record(
                done.target, "ExecutionRefused", words, time=done.time, run_id=run_id, warning=True
            )
        return await self._write(done.target, lambda _: {"executeAt": done.value}, f"executeAt: {done.value}")

    async def _write(self, target: Target, make: Callable[[Object], Object], words: str) -> str:
        """Write what `make` makes of the live Experiment into its status, which others write as well."""
        ref = ObjectRef(EXPERIMENT, target.namespace, target.name)
        with as_application_error():
            for _ in range(_MAX_TRIES_TO_WRITE):
                live = await self._live(target)
                status = make(live) if live else {}
                if live is None:
                    return "the Experiment is gone"
                if not status:
                    return "there is nothing new to say"
                guard = {"resourceVersion": live["metadata"]["resourceVersion"]}
                try:
                    await self._client.merge_patch(ref, {"metadata": guard, "status": status}, subresource="status")
                except ConflictError:
                    continue
                return words
        raise ApplicationError(f"{target} is being changed all the time")

    async def _live(self, target: Target) -> Object | None:
        """Read this very Experiment; None where it is gone, whatever has taken its name."""
        try:
            live = await self._client.find(ObjectRef(EXPERIMENT, target.namespace, target.name))
        except NotServedError:
            return None
        return live if live and live["metadata"]["uid"] == target.uid else None

    @activity.defn(name=REQUEST_EXECUTION)
    async def request_execution(self, wish: StartRequest) -> Started:
        """Start an execution, unless an earlier attempt has: it carries the request's digest as a tag."""
        workflow = placement(wish.target.namespace, wish.target.name, self._options).test_workflow.name
        try:
            async with asyncio.timeout(_MAX_ATTEMPT.total_seconds()):
                with as_application_error():
                    live = await self._live(wish.target)
                earlier = await self._find(workflow, wish)
                execution = earlier or await self._start(workflow, wish, live)
        except TestkubeError as error:
            raise _unavailable(error) from error
        return Started(
            ExecutionTarget(wish.target, workflow, execution.id), execution.number, found=earlier is not None
        )

    async def _start(self, workflow: str, wish: StartRequest, live: Object | None) -> Execution:
        _check_is_ready(wish, live)
        tags = {**wish.tags, REQUEST_TAG: wish.digest, **({REASON_TAG: wish.reason} if wish.reason else {})}
        return await self._testkube.start(workflow, tags)

    async def _find(self, workflow: str, wish: StartRequest) -> Execution | None:
        oldest = activity.info().scheduled_time - _MAX_AGE_OF_A_REQUEST
        async for each in self._testkube.newest(workflow, {"tagSelector": f"{REQUEST_TAG}={wish.digest}"}):
            if each.tags.get(REQUEST_TAG) == wish.digest:
                return each
            if each.scheduled_at and each.scheduled_at < oldest:  # the filter was ignored, and this is all there is
                return None
        return None


def _unavailable(error: TestkubeError) -> ApplicationError:
    """Make one that is repeated, and no noise in logs and metrics (BENIGN): Testkube is somebody else's to repair."""
    benign = ApplicationErrorCategory.BENIGN
    return ApplicationError(str(error), type=TestkubeUnavailable.__name__, category=benign)


def _check_is_ready(wish: StartRequest, live: Object | None) -> None:
    """Raise the refusal of a request, which names its reason; a status that is behind is waited for."""
    problem = "It does not exist any more."
    if live is not None:
        status, meta = parse_status(live), live["metadata"]
        if "deletionTimestamp" in meta:
            problem = "It is being deleted."
        elif status.observed_generation != meta["generation"]:
            words = f"{wish.target}: its newest change is still to be worked on."
            raise ApplicationError(words, type=NOT_READY, next_retry_delay=_CATCH_UP_DELAY)
        elif not (problem := why_not_ready(status)):
            return
    benign = ApplicationErrorCategory.BENIGN
    raise ApplicationError(f"{wish.target}: {problem}", type=NOT_READY, non_retryable=True, category=benign)


def _status_of(report: ExecutionReport, live: Object) -> Object:
    """Make the status's merge patch; empty where it says as much already, or speaks of a newer execution."""
    current = parse_status(live).last_execution or LastExecution()
    new = _last_execution(report)
    judged = [evaluated(report.verdict, f"Execution {report.seen.number}: {report.message}")] if report.verdict else []
    patch: Object = {"lastExecution": new.model_dump(by_alias=True, mode="json")}
    if _is_newer(current, new):
        if current.verdict or not judged:
            return {}
        patch = {}  # the last one that has ended is this one, while the newer runs
    elif current == new:
        return {}
    return {**patch, "conditions": with_conditions(live, [*judged, executions_observed()], report.time)}


def _is_newer(current: LastExecution, new: LastExecution) -> bool:
    if current.execution_id in {None, new.execution_id} or current.start_time is None or new.start_time is None:
        return False
    return _order(current) > _order(new)


def _order(execution: LastExecution) -> tuple[datetime | None, int]:
    """Order executions by their start, since numbers may begin again; within a second, by number."""
    return execution.start_time, execution.execution_number or 0


def _last_execution(report: ExecutionReport) -> LastExecution:
    seen, counts = report.seen, report.counts
    metrics = ExecutionMetrics(total=counts.total, passed=counts.passed, failed=counts.failed, errored=counts.errored)
    return LastExecution(
        execution_id=report.execution.id,
        execution_number=seen.number,
        start_time=seen.start_time or None,
        end_time=seen.end_time or None,
        status=seen.status,
        started_by=seen.started_by,
        verdict=report.verdict,
        metrics=metrics if report.verdict else None,
        summary=in_summary(seen.status, report.verdict or "", counts),
    )
