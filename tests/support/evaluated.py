"""An Experiment whose executions are followed and started, and the scores that they leave."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from experiments.contract import Target
from experiments.executions import ExecutionTarget, StartRequest
from experiments.names import EXPERIMENT_ANNOTATION, UID_LABEL
from kube.objects import Object
from support.testkube import TestkubeStandIn
from support.world import World
from temporal.executions import follower, requester

TASK_QUEUE = "tests"


class Evaluated:
    """An Experiment that is Ready, and the executions of its TestWorkflow. Nobody reconciles it here."""

    def __init__(self, world: World, experiment: Object, testkube: TestkubeStandIn, temporal: Client) -> None:
        self.world, self.testkube, self.temporal = world, testkube, temporal
        self.workflow = world.places().test_workflow.name
        self.target = Target(world.namespace, "demo", experiment["metadata"]["uid"])
        testkube.workflows.add(self.workflow)
        marks = {EXPERIMENT_ANNOTATION: f"{world.namespace}/demo"}
        testkube.metadata[self.workflow] = {"labels": {UID_LABEL: self.target.uid}, "annotations": marks}
        self._follow, self._request = follower(temporal, TASK_QUEUE), requester(temporal, TASK_QUEUE)

    async def is_ready(self, status: str = "True", reason: str = "Reconciled", *, generation: int = 1) -> None:
        """Have the status say that it is Ready, as a reconciliation would."""
        ready: Object = {"type": "Ready", "status": status, "reason": reason, "message": f"{reason}, it says."}
        ready |= {"lastTransitionTime": "2026-11-26T09:00:00Z", "observedGeneration": generation}
        patch = {"status": {"observedGeneration": generation, "conditions": [ready]}}
        await self.world.kube.merge_patch(self.world.ref(), patch, subresource="status")

    def execution(self, status: str = "running", **more: Any) -> Object:
        return self.testkube.add(self.workflow, status, **more)

    async def follow(self, execution: Object) -> WorkflowHandle[Any, Any]:
        """Have it followed, or looked at again; the run that follows it."""
        followed = ExecutionTarget(self.target, self.workflow, execution["id"])
        await self._follow(followed)
        return self.temporal.get_workflow_handle(followed.workflow_id)

    def scored(self, *values: float | None, minutes: int = 0, **more: Any) -> Object:
        """Add one that began so many minutes ago, has ended and left these scores."""
        began = datetime.now(UTC) - timedelta(minutes=minutes)
        execution = self.execution("passed", scheduledAt=began.isoformat().replace("+00:00", "Z"), **more)
        self.testkube.upload(execution, scores(*values))
        return execution

    async def judge(self, execution: Object) -> None:
        """Have it followed to its verdict."""
        run = await self.follow(execution)
        with suppress(WorkflowFailureError):
            await run.result()

    async def judged(self, *values: float | None, minutes: int = 0, **more: Any) -> Object:
        execution = self.scored(*values, minutes=minutes, **more)
        await self.judge(execution)
        return execution

    async def request(self, key: str, **more: Any) -> WorkflowHandle[Any, Any]:
        return await self._request(StartRequest(self.target, key, **more))

    async def last(self) -> dict[str, Any]:
        """`status.lastExecution` as it is stored."""
        live = await self.world.kube.get(self.world.ref())
        return live.get("status", {}).get("lastExecution") or {}

    async def said(self) -> dict[str, tuple[str, str, str]]:
        """Status, reason and message of each condition about executions."""
        status = await self.world.status()
        return {c.type: (c.status, c.reason, c.message) for c in status.conditions}


def scores(*values: float | None, answer: str = "It rains.") -> Object:
    """What the phase `evaluate` writes for one step whose metrics have these scores; None is an error."""

    def one(number: int, score: float | None) -> Object:
        result: Object = {"result": "pass" if score is not None and score >= 0.9 else "fail", "score": score}
        if score is None:
            result = {"result": "fail", "details": {"error": "Missing credentials"}}
        return {"metric": {"metric_name": f"m{number}"}, "result": result}

    turns = [{"type": "human", "content": "Rain?"}, {"type": "agent", "content": answer}]
    step = {"input": "Rain?", "turns": turns, "evaluations": [one(*each) for each in enumerate(values)]}
    return {"default_threshold": 0.9, "scenarios": [{"name": "rain", "steps": [step]}]}
