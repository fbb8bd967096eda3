"""Runs of the real workflow, made to order: a test says what their steps find and how they fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from experiments.contract import (
    SIGNAL,
    TAKE_SNAPSHOT,
    WORKFLOW_TYPE,
    WRITE_STATUS,
    ActionRequest,
    Blocker,
    PlannedAction,
    RunState,
    SnapshotRequest,
    SnapshotResult,
    StatusRequest,
    Target,
    WakeSignal,
    memo,
)
from experiments.plan import Step
from worker.workflow import ReconcileExperiment

TASK_QUEUE = "rest"


@dataclass
class Runs:
    """Starts runs and says what their steps find. Experiments are told apart by name: each test uses its own."""

    client: Client
    findings: dict[str, SnapshotResult] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """By Experiment, the step that fails on every attempt."""

    def plan(self, name: str, *steps: Step, problem: tuple[str, str] | None = None, news: bool = True) -> None:
        """What the snapshots of this Experiment find: these steps to do, or this problem in the way."""
        actions = [PlannedAction(step, "ConfigMap", "testkube", name, f"do {step} on {name}") for step in steps]
        self.findings[name] = SnapshotResult(
            True, 3, False, False, actions, [Blocker(*problem)] if problem else [], news
        )

    async def start(self, target: Target, *reasons: str) -> WorkflowHandle[Any, Any]:
        """As the watcher does: starts a run, or signals the one that is open."""
        return await self.client.start_workflow(
            WORKFLOW_TYPE,
            RunState(target),
            id=target.workflow_id,
            task_queue=TASK_QUEUE,
            start_signal=SIGNAL,
            start_signal_args=[WakeSignal(list(reasons))],
            memo=memo(target, list(reasons)),
        )

    async def finish(self, target: Target, *reasons: str) -> str:
        """Starts a run and waits for its end, good or bad. Returns its ID."""
        handle = await self.start(target, *reasons)
        with suppress(Exception):
            await handle.result()
        return handle.result_run_id or ""

    async def end(self, target: Target) -> None:
        """So that no run of a test waits for ever."""
        await self.client.get_workflow_handle(target.workflow_id).terminate()

    @activity.defn(name=TAKE_SNAPSHOT)
    async def take_snapshot(self, request: SnapshotRequest) -> SnapshotResult:
        return self.findings[request.target.name]

    @activity.defn(name=WRITE_STATUS)
    async def write_status(self, request: StatusRequest) -> str:
        return f"wrote the status of {request.target.name}"

    def step(self, step: Step) -> Callable[[ActionRequest], Awaitable[str]]:
        @activity.defn(name=step)
        async def carry_out(request: ActionRequest) -> str:
            if self.broken.get(request.target.name) == step:
                raise ApplicationError("the API server is away", type="ApiUnavailable")
            return f"did {step} on {request.target.name}"

        return carry_out

    def worker(self) -> Worker:
        steps: list[Callable[..., Awaitable[object]]] = [self.take_snapshot, self.write_status, *map(self.step, Step)]
        return Worker(self.client, task_queue=TASK_QUEUE, workflows=[ReconcileExperiment], activities=steps)
