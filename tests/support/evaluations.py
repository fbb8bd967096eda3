"""Executions of a world's Experiments, which a test begins, moves on and ends in the stand-in for Testkube."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowExecution

from experiments.executions import followed_prefix
from experiments.models import LastExecution
from experiments.names import EXECUTE_AT
from kube.objects import ObjectRef
from localcluster.testkube.events import ENDED, QUEUED, STARTED, send_event
from localcluster.testkube.executions import FINISHED, Json
from support.evaluated import scores
from support.polling import until
from support.testkube import TestkubeStandIn
from support.world import World


class Evaluations:
    """Events tell of each of them, unless `told` is false: then they are lost."""

    def __init__(self, world: World, testkube: TestkubeStandIn) -> None:
        self.world, self.testkube = world, testkube

    async def begin(
        self, name: str = "demo", status: str = "running", *, workflow: ObjectRef | None = None, told: bool = True
    ) -> Json:
        """Begin one of an Experiment, or of another TestWorkflow."""
        ref = workflow or self.world.places(name).test_workflow
        meta = (await self.world.kube.get(ref))["metadata"]
        marks = {key: meta.get(key) or {} for key in ("labels", "annotations")}
        execution = self.testkube.add(ref.name, "assigned", **marks)
        if told:
            await send_event(self.world.kube, execution, QUEUED)
        if status != "assigned":
            await self.move(execution, status, told=told)
        return execution

    async def move(self, execution: Json, status: str, *, told: bool = True, scores: Json | None = None) -> None:
        """Move one on; with `scores`, those are there by then."""
        if scores is not None:
            self.testkube.upload(execution, scores)
        self.testkube.set_status(execution, status)
        reason = ENDED.get(status) or (STARTED if status not in FINISHED else None)  # there is none for `canceled`
        if told and reason:
            await send_event(self.world.kube, execution, reason)

    async def pass_one(self, name: str = "demo") -> Json:
        """Have one run to its end, with scores that pass, and the status say so."""
        execution = await self.begin(name)
        await self.move(execution, "passed", scores=scores(1.0))
        await self.told(execution, name, verdict="Passed")
        return execution

    async def last(self, name: str = "demo") -> LastExecution:
        return (await self.world.status(name)).last_execution or LastExecution()

    async def told(self, execution: Json, name: str = "demo", **said: Any) -> LastExecution:
        """Wait until the status speaks of this execution, and says this of it: `status="running"`."""

        def is_told(last: LastExecution) -> bool:
            wanted = {"execution_id": execution["id"], **said}
            return all(getattr(last, key) == value for key, value in wanted.items())

        return await until(lambda: self.last(name), is_told)

    async def condition(self, kind: str, reason: str, name: str = "demo") -> str:
        """Wait until a condition has this reason; return its status."""

        async def ask() -> tuple[str, str]:
            found = (await self.world.status(name)).condition(kind)
            return (found.reason, found.status) if found else ("", "")

        return (await until(ask, lambda said: said[0] == reason))[1]

    async def followers(self, name: str = "demo") -> list[WorkflowExecution]:
        """All runs that follow executions of this name's Experiments, as far as visibility has heard of them."""
        query = f"WorkflowId STARTS_WITH '{followed_prefix(self.world.namespace, name)}'"
        return [run async for run in self.world.temporal.list_workflows(query)]

    async def ended(self, count: int, name: str = "demo") -> list[WorkflowExecution]:
        """Wait until so many of these runs have ended; return all."""
        return await until(
            lambda: self.followers(name), lambda runs: sum(run.close_time is not None for run in runs) == count
        )

    async def ask_for_one(self, value: str, name: str = "demo") -> None:
        """Set the annotation that asks for an execution, of a TestWorkflow that Testkube knows."""
        workflow = self.world.places(name).test_workflow
        if live := await self.world.get(workflow):
            marks = {key: live["metadata"].get(key) or {} for key in ("labels", "annotations")}
            self.testkube.workflows.add(workflow.name)
            self.testkube.metadata[workflow.name] = marks
        await self.world.kube.merge_patch(self.world.ref(name), {"metadata": {"annotations": {EXECUTE_AT: value}}})
