"""Steps that do what a test says, for a workflow that is the real one.

A `ScriptedExperiment` stands for one Experiment and all that its runs meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker

from experiments.contract import (
    CARRY_OUT,
    SIGNAL,
    TAKE_SNAPSHOT,
    WORKFLOW_TYPE,
    WRITE_STATUS,
    ActionRequest,
    ActionsRequest,
    Blocker,
    PlannedAction,
    Progress,
    Result,
    RunState,
    SnapshotRequest,
    SnapshotResult,
    StatusRequest,
    Target,
    WakeSignal,
    memo,
)
from experiments.plan import Step
from support.polling import until
from worker.main import temporal_worker

_TASK_QUEUE = "workflow"
_KINDS = {
    "config_map": "ConfigMap",
    "executions": "TestWorkflow",
    "test_workflow": "TestWorkflow",
    "test_trigger": "TestTrigger",
}


@dataclass(frozen=True)
class Call:
    """One attempt at a step, as it reached the worker."""

    step: str
    request: Any
    local: bool
    attempt: int


@dataclass
class ScriptedExperiment:
    """Says what successive snapshots find and how steps go, and keeps what was asked of them."""

    client: Client
    target: Target
    calls: list[Call] = field(default_factory=list)
    _findings: list[SnapshotResult] = field(default_factory=list)
    _found: SnapshotResult = field(init=False)
    _progress: Progress = field(default_factory=Progress)
    _failures: dict[str, Iterator[Exception]] = field(default_factory=dict)
    _stops: dict[str, tuple[asyncio.Event, asyncio.Event]] = field(default_factory=dict)

    def finds(
        self, *steps: Step, problem: tuple[str, str] | None = None, news: bool = True, times: int = 1, **more: Any
    ) -> None:
        """What the next snapshot, or the next few, find. The last that was said holds for all further ones."""
        problems = [Blocker(*problem)] if problem else []
        actions = [PlannedAction(step, _kind(step), "testkube", "weather", f"{step} please") for step in steps]
        found: dict[str, Any] = {"exists": True, "generation": 1, **more}
        self._findings += [SnapshotResult(actions=actions, problems=problems, news=news, **found)] * times

    def goes(self, *changes: str, failure: tuple[str, str] | None = None, reported: str = "") -> None:
        """What comes of actions that are carried out together: so many go smoothly, and the next meets the failure.

        Or none does, and the status says so, too.
        """
        self._progress = Progress(len(changes), list(changes), Blocker(*failure) if failure else None, reported)

    def fails(self, step: str, errors: Iterable[Exception]) -> None:
        """The next attempts at this step raise these, one each; after the last it succeeds again."""
        self._failures[step] = iter(errors)

    @asynccontextmanager
    async def stopped_at(self, step: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        """Keeps the step, unless it fails, from ending until the block is left. Yields a wait for that it has begun."""
        reached, released = self._stops[step] = asyncio.Event(), asyncio.Event()
        try:
            yield reached.wait
        finally:
            del self._stops[step]
            released.set()

    async def start(self, *reasons: str, seen: dict[str, str] | None = None) -> WorkflowHandle[Any, Result]:
        """As the watcher does: begins a run, or signals the one that is open."""
        return await self.client.start_workflow(
            WORKFLOW_TYPE,
            RunState(self.target),
            id=self.target.workflow_id,
            task_queue=_TASK_QUEUE,
            start_signal=SIGNAL,
            start_signal_args=[WakeSignal(list(reasons), seen or {})],
            memo=memo(self.target, list(reasons)),
            result_type=Result,
        )

    async def waiting(self, handle: WorkflowHandle[Any, Result]) -> None:
        """Returns once the run waits for time to pass."""

        async def waits() -> bool:
            return (await handle.fetch_history()).events[-1].event_type == EventType.EVENT_TYPE_TIMER_STARTED

        await until(waits)

    async def end(self) -> None:
        """So that no run of this test goes on while others skip time."""
        handle = self.client.get_workflow_handle(self.target.workflow_id)
        if (await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
            await handle.terminate()

    @property
    def steps(self) -> list[str]:
        return [call.step for call in self.calls]

    def requests(self, step: str) -> list[Any]:
        return [call.request for call in self.calls if call.step == step]

    def next_findings(self) -> SnapshotResult:
        if self._findings:
            self._found = self._findings.pop(0)
        return self._found

    async def carry_out_together(self, request: ActionsRequest) -> Progress:
        await self.carry_out(CARRY_OUT, request)
        return self._progress

    async def carry_out(self, step: str, request: Any) -> str:
        info = activity.info()
        self.calls.append(Call(step, request, info.is_local, info.attempt))
        for error in self._failures.get(step, ()):
            raise error.with_traceback(None)  # or it would grow with each attempt
        if step in self._stops:
            reached, released = self._stops[step]
            reached.set()
            await released.wait()
        return f"did {step}"


def _kind(step: Step) -> str:
    return next((kind for name, kind in _KINDS.items() if step.endswith(name)), "Experiment")


class StandIns:
    """The activities under the names of the contract; each does what the Experiment that it is asked for says."""

    def __init__(self) -> None:
        self.experiments: dict[str, ScriptedExperiment] = {}

    def experiment(self, client: Client) -> ScriptedExperiment:
        """One that no other test has."""
        target = Target("default", f"weather-{uuid4().hex[:8]}", str(uuid4()))
        self.experiments[target.name] = ScriptedExperiment(client, target)
        return self.experiments[target.name]

    def worker(self, client: Client, version: WorkerDeploymentVersion | None = None) -> Worker:
        """As the service's own is made."""
        steps: list[Callable[..., Awaitable[object]]] = [
            self.take_snapshot,
            self.carry_out,
            self.write_status,
            *map(self.step, Step),
        ]
        return temporal_worker(client, steps, task_queue=_TASK_QUEUE, sandbox=True, version=version)

    @activity.defn(name=TAKE_SNAPSHOT)
    async def take_snapshot(self, request: SnapshotRequest) -> SnapshotResult:
        experiment = self.experiments[request.target.name]
        await experiment.carry_out(TAKE_SNAPSHOT, request)
        return experiment.next_findings()

    @activity.defn(name=CARRY_OUT)
    async def carry_out(self, request: ActionsRequest) -> Progress:
        return await self.experiments[request.target.name].carry_out_together(request)

    @activity.defn(name=WRITE_STATUS)
    async def write_status(self, request: StatusRequest) -> str:
        return await self.experiments[request.target.name].carry_out(WRITE_STATUS, request)

    def step(self, step: Step) -> Callable[[ActionRequest], Awaitable[str]]:
        @activity.defn(name=step)
        async def carry_out(request: ActionRequest) -> str:
            return await self.experiments[request.target.name].carry_out(step, request)

        return carry_out
