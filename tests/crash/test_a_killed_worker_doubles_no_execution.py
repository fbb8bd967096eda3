"""A worker may die by SIGKILL at any step of an execution that was asked for: it is started once, and has its verdict.

Each point of death is an Experiment and a task queue of its own, so that all can be tried at once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from temporalio.client import Client

from experiments.contract import Target
from experiments.executions import ExecutionResult, StartRequest, followed_workflow_id
from experiments.options import Options
from kube.client import KubeClient
from kube.objects import Object
from localcluster import LocalCluster
from support.background import running
from support.doomed import die
from support.evaluated import scores
from support.testkube import TestkubeStandIn
from support.world import World, new_namespace, remove_experiments
from temporal.executions import requester
from testkube.client import TestkubeClient
from worker.main import run_worker


class Point(NamedTuple):
    moment: str
    call: str

    def __str__(self) -> str:
        return " ".join(self)


_OF_ONE = "GET /test-workflow-executions/"
POINTS = [
    Point("before", "GET /test-workflows/"),  # the look for one that an earlier attempt has started
    Point("before", "POST /test-workflows/"),
    Point("after", "POST /test-workflows/"),
    Point("before", _OF_ONE),
    Point("after", _OF_ONE),
    Point("before", "patch status"),
    Point("after", "patch status"),
]


class _Prompt(TestkubeStandIn):
    """Executes in no time."""

    def begun(self, execution: Object) -> None:
        self.set_status(execution, "passed")
        self.upload(execution, scores(1.0))


class Case:
    def __init__(self, world: World, testkube: TestkubeStandIn, uid: str) -> None:
        self.world, self.testkube = world, testkube
        self.queue = self.name = world.name
        self.target = Target(world.namespace, self.name, uid)
        self.workflow = world.places(self.name).test_workflow.name
        testkube.workflows.add(self.workflow)

    @property
    def executions(self) -> list[Object]:
        return [each for each in self.testkube.executions if each["workflow"]["name"] == self.workflow]

    async def request(self) -> Any:
        return await requester(self.world.temporal, self.queue)(StartRequest(self.target, "a"))

    async def finished(self) -> None:
        started = await (await self.request()).result()
        follows = followed_workflow_id(self.target, started.execution.id)
        await self.world.temporal.get_workflow_handle(follows, result_type=ExecutionResult).result()


@pytest.fixture(scope="module")
async def cases(cluster: LocalCluster, kube: KubeClient, temporal: Client) -> AsyncIterator[dict[Point, Case]]:
    """All points of death, after a healthy worker has finished what the dead one began."""
    namespace = await new_namespace(kube, "doubled")
    async with _Prompt() as testkube, TestkubeClient(testkube.url) as client:
        found = {point: await _case(World(cluster, kube, temporal, namespace), testkube) for point in POINTS}
        for case in found.values():
            await case.request()
        doomed = {"testkube": testkube.url}
        await die(cluster, [{**doomed, **point._asdict(), "queue": case.queue} for point, case in found.items()])
        work = (
            run_worker(kube, temporal, Options(), client, task_queue=case.queue, sandbox=True)
            for case in found.values()
        )
        async with running(*work):
            await asyncio.gather(*(case.finished() for case in found.values()))
        yield found
    await remove_experiments(kube)


async def _case(world: World, testkube: TestkubeStandIn) -> Case:
    """An Experiment that is Ready, by all accounts."""
    world.name = f"doomed-{uuid.uuid4().hex[:8]}"
    created = await world.create(world.name)
    ready = {"type": "Ready", "status": "True", "reason": "Reconciled", "lastTransitionTime": "2026-11-26T09:00:00Z"}
    patch = {"status": {"observedGeneration": 1, "conditions": [ready]}}
    await world.kube.merge_patch(world.ref(world.name), patch, subresource="status")
    return Case(world, testkube, created["metadata"]["uid"])


@pytest.mark.parametrize("point", POINTS, ids=str)
async def test_it_is_started_once(cases: dict[Point, Case], point: Point) -> None:
    assert len(cases[point].executions) == 1


@pytest.mark.parametrize("point", POINTS, ids=str)
async def test_its_verdict_is_in_the_status(cases: dict[Point, Case], point: Point) -> None:
    case = cases[point]
    last = (await case.world.status(case.name)).last_execution
    assert last is not None
    assert (last.execution_id, last.verdict) == (case.executions[0]["id"], "Passed")
