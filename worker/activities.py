"""The steps of a run: each activity makes the few calls to the API server that its name says.

`take_snapshot` reads and plans; `carry_out` does what goes smoothly, and the activities that are named as the steps of
a plan one action each; `write_status` reports. Between them a snapshot stays in this process, brought up to date by
each write. A worker that has to go on where another stopped reads it again, so a step never depends on where the one
before it ran.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import takewhile

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from experiments.contract import (
    CARRY_OUT,
    NOTHING_TO_REPORT,
    TAKE_SNAPSHOT,
    WRITE_STATUS,
    ActionRequest,
    ActionsRequest,
    Blocker,
    PlannedAction,
    Progress,
    SnapshotRequest,
    SnapshotResult,
    StatusRequest,
    Target,
)
from experiments.errors import BY_REASON, Immutable, Problem, TestkubeUnavailable
from experiments.models import LastReconciliation
from experiments.names import CHILD_KINDS
from experiments.options import Options
from experiments.plan import APPLY, REPLACE, Plan, Step, plan
from experiments.resources import EXPERIMENT
from experiments.snapshot import Snapshot
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import KubeError
from kube.objects import ObjectRef
from testkube.client import TestkubeClient
from testkube.errors import TestkubeError
from testkube.stopping import stop_executions
from worker.events import EventRecorder
from worker.failures import as_application_error, stale
from worker.reader import SnapshotReader
from worker.workflow import STALE
from worker.writes import Writer

log = structlog.get_logger(__name__)

_MAX_RUNS = 500
_TOLD_AT_ATTEMPT = 5
_ABORT_TIMEOUT = timedelta(seconds=10)


@dataclass(slots=True)
class Run:
    """What this process knows of a run: what it was last asked for, where that stands, the plan for it, what was done.

    The words are kept because the server drops a workflow task, and the record of its local activities with it, when a
    signal comes in just before it ends; and because a local activity that takes too long ends without a result. The
    steps are then taken again, and find nothing left to do. `unreported` are those that no status has said.
    """

    request: SnapshotRequest | None = None
    snapshot: Snapshot | None = None
    planned: Plan | None = None
    done: list[str] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)

    def note(self, change: str) -> None:
        self.done.append(change)
        self.unreported.append(change)


class Activities:
    """`caches` hold what Experiments depend on; Experiments and their children are read from the API server.

    `testkube` is there where `options` say that executions are aborted.
    """

    def __init__(
        self, client: KubeClient, caches: Caches, options: Options, testkube: TestkubeClient | None = None
    ) -> None:
        self._client, self._options, self._testkube = client, options, testkube
        self._reader = SnapshotReader(client, caches, options)
        self._events = EventRecorder(client)
        self._writer = Writer(client, self._reader, options)
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def all(self) -> list[Callable[..., Awaitable[object]]]:
        """List what is to be registered with a Temporal worker."""
        steps = (step for step in Step if step != Step.ABORT_EXECUTIONS)
        return [self.take_snapshot, self.carry_out, self.write_status, self.abort_executions, *map(self._step, steps)]

    @activity.defn(name=TAKE_SNAPSHOT)
    async def take_snapshot(self, request: SnapshotRequest) -> SnapshotResult:
        """Read the Experiment, what it depends on and its children, and plan."""
        run = self._run
        # Should this be cut off, another worker may take the snapshot: no step is to rest on the one before, then.
        run.request, run.snapshot, run.planned = request, None, None
        with as_application_error():
            async with self._told_in_time(request.target, "Reading what there is"):
                snapshot = await self._reader.read(request)
        run.snapshot = snapshot
        run.planned = plan(snapshot) if snapshot else None
        if run.planned is None:
            return SnapshotResult(exists=False, done=list(run.done))
        return _snapshot_result(run.planned, run)

    @activity.defn(name=CARRY_OUT)
    async def carry_out(self, request: ActionsRequest) -> Progress:
        """Carry out one action after the other, until one fails, and say so in the status if none does."""
        progress = Progress()
        for action in request.actions:
            try:
                change = await self._carry_out(Step(action.step), ActionRequest(request.target, action))
            except ApplicationError as error:
                # A step of its own can repeat it, or make the object anew.
                if error.non_retryable and error.type != Immutable.__name__:
                    progress.failure = Blocker(error.type or "", error.message)
                return progress
            progress.done += 1
            progress.changes += [change] if change else []
        if request.report:
            report = replace(request.report, changes=request.report.changes + progress.changes)
            try:
                progress.reported = await self.write_status(report)
            except ApplicationError as error:  # a step of its own tries it again, but over an edit it may not go
                if error.type == STALE:
                    progress.failure = Blocker(STALE, error.message)
        return progress

    def _step(self, step: Step) -> Callable[[ActionRequest], Awaitable[str]]:
        @activity.defn(name=step)
        async def carry_out(request: ActionRequest) -> str:
            return await self._carry_out(step, request)

        return carry_out

    async def _carry_out(self, step: Step, request: ActionRequest) -> str:
        with as_application_error():
            snapshot, run = await self._resume(request.target), self._run
            wanted = _ref(request.action)
            failures = {wanted: Immutable("")} if step in REPLACE.values() else {}
            planned = (None if failures else run.planned) or plan(snapshot, failures)
            action = next((a for a in planned.actions if (a.step, a.ref) == (step, wanted)), None)
            if action is None:
                raise stale(f"{request.action.description}: not needed any more")
            changes = list[str]()
            run.planned = None
            try:
                run.snapshot = await self._writer.carry_out(snapshot, action, changes)
            finally:
                if changes:
                    run.note("; ".join(changes))
            if step in _AS_PLANNED and run.snapshot.subject.meta.generation == snapshot.subject.meta.generation:
                run.planned = planned
            return "; ".join(changes)

    @activity.defn(name=Step.ABORT_EXECUTIONS)
    async def abort_executions(self, request: ActionRequest) -> str:
        """Stop what runs of a TestWorkflow that is gone. Returns what was done, in words; empty where nothing ran."""
        workflow = _ref(request.action)
        if self._testkube is None:  # it is known where the plan was made
            raise ApplicationError("TESTKUBE_API_URL is not set here", type=TestkubeUnavailable.__name__)
        try:
            stopped = await stop_executions(self._testkube, workflow.name, patience=_ABORT_TIMEOUT)
        except TestkubeError as error:
            raise ApplicationError(str(error), type=TestkubeUnavailable.__name__) from error
        if not stopped:
            return ""
        self._run.note(done := f"aborted {stopped} execution{'s' if stopped > 1 else ''} of {workflow}")
        return done

    @activity.defn(name=WRITE_STATUS)
    async def write_status(self, request: StatusRequest) -> str:
        """Write the status, only through `/status` and only over the version that was planned for, and an Event."""
        with as_application_error():
            snapshot = await self._resume(request.target)
            failures = {_ref(request.failed): _problem(request.failure)} if request.failed and request.failure else {}
            done = plan(snapshot, failures)
            report, meta = done.report, snapshot.subject.meta
            if report is None or not (request.changes or done.is_news):
                return NOTHING_TO_REPORT
            info = activity.info()
            run = LastReconciliation(
                workflow_id=info.workflow_id or "",
                run_id=info.workflow_run_id or "",
                time=request.time,
                requested_at=report.requested_at,
            )
            patch = {
                "metadata": {"resourceVersion": meta.resource_version},
                **report.status(snapshot.subject.status, run),
            }
            async with self._told_in_time(request.target, "Writing the status"):
                await self._client.merge_patch(snapshot.subject.ref, patch, subresource="status")
            told = self._run
            told.snapshot = told.planned = None
            told.unreported = [change for change in told.unreported if change not in request.changes]
            ready = report.ready
            await self._record(done, request.target, "; ".join(request.changes), run)
        return f"Ready={ready.status} {ready.reason}: {ready.message}"

    async def _record(self, done: Plan, target: Target, changes: str, run: LastReconciliation) -> None:
        """Write one Event per report."""
        problem = next(iter(done.problems), None)
        message = " ".join(filter(None, (str(problem) if problem else "", f"{changes}." if changes else "")))
        if message:
            reason = problem.reason if problem else "Reconciled"
            warning = problem is not None
            await self._events.record(target, reason, message, time=run.time, run_id=run.run_id, warning=warning)

    @asynccontextmanager
    async def _told_in_time(self, target: Target, what: str) -> AsyncIterator[None]:
        """Write an Event where a step that is repeated for ever has failed a few times: some errors never pass.

        Without snapshot or status there is no other way to say it.
        """
        try:
            yield
        except KubeError as error:
            info = activity.info()
            if error.transient and not info.is_local and info.attempt == _TOLD_AT_ATTEMPT:
                words = f"{what} has failed {info.attempt} times, and is tried again and again: {error}"
                time, run_id = info.scheduled_time.strftime("%Y-%m-%dT%H:%M:%SZ"), info.workflow_run_id or ""
                await self._events.record(target, "StillFailing", words, time=time, run_id=run_id, warning=True)
            raise

    @property
    def _run(self) -> Run:
        run_id = activity.info().workflow_run_id or ""
        run = self._runs.setdefault(run_id, Run())
        self._runs.move_to_end(run_id)
        while len(self._runs) > _MAX_RUNS:
            self._runs.popitem(last=False)
        return run

    async def _resume(self, target: Target) -> Snapshot:
        run = self._run
        snapshot = run.snapshot
        if snapshot is None:
            snapshot = await self._reader.read(replace(run.request or SnapshotRequest(target, {}), certain=True))
        if snapshot is None:
            raise stale("the Experiment is gone")
        return snapshot


# After these, things are as planned, and so is what comes next. After a deletion it depends on what is left.
_AS_PLANNED = {Step.ADD_FINALIZER, *APPLY.values()}

_RESOURCES = {EXPERIMENT.kind: EXPERIMENT, **CHILD_KINDS}


def _snapshot_result(found: Plan, run: Run) -> SnapshotResult:
    subject = found.snapshot.subject
    together = len(list(takewhile(lambda action: action.step in _AS_PLANNED, found.actions)))
    return SnapshotResult(
        exists=not subject.gone,
        generation=subject.meta.generation,
        deleting=subject.being_deleted,
        suspended=subject.spec is not None and subject.spec.suspend,
        actions=[
            PlannedAction(a.step, a.ref.resource.kind, a.ref.namespace, a.ref.name, str(a)) for a in found.actions
        ],
        problems=[Blocker(p.reason, str(p)) for p in found.problems],
        news=found.is_news,
        done=list(run.done),
        unreported=list(run.unreported),
        together=together,
        reportable=together == len(found.actions),
    )


def _ref(action: PlannedAction) -> ObjectRef:
    return ObjectRef(_RESOURCES[action.kind], action.namespace, action.name)


def _problem(blocker: Blocker) -> Problem:
    return BY_REASON[blocker.reason](blocker.message)
