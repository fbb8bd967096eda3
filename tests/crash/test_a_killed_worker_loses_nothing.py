"""A worker may die by SIGKILL between any two writes of a run: another one brings the run to its end, nothing doubled.

Each point of death is an Experiment and a task queue of its own, so that all can be tried at once: Temporal gives up on
a dead worker's task after ten seconds.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from experiments.contract import Target, Urgency, WakeSignal
from experiments.names import FINALIZER
from experiments.options import Options
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.doomed import die
from support.world import World, new_namespace, remove_experiments
from temporal.client import starter
from worker.main import run_worker


@dataclass(frozen=True)
class Point:
    """Before the first write of a run, or after any other: after one is before the next."""

    run: str
    moment: str
    call: str

    def __str__(self) -> str:
        return f"{self.run}: {self.moment} {self.call}"


def _points(run: str, *writes: str) -> list[Point]:
    return [Point(run, "before", writes[0]), *(Point(run, "after", write) for write in writes)]


_CHILDREN = ("create ConfigMap", "create TestWorkflow", "create TestTrigger", "patch status", "create Event")
ELSEWHERE = _points("creation elsewhere", "patch Experiment", *_CHILDREN)
BESIDE = _points("creation beside Testkube", "patch Experiment", *_CHILDREN)
DELETION = _points("deletion", "delete TestTrigger", "delete TestWorkflow", "delete ConfigMap", "patch Experiment")


class Case:
    """The Experiment whose run meets one point of death."""

    def __init__(self, point: Point, world: World) -> None:
        self.point, self.world = point, world
        self.name = self.queue = f"doomed-{uuid.uuid4().hex[:8]}"
        self.uid = ""

    async def prepare(self, healthy: str) -> None:
        created = await self.world.create(self.name)
        self.uid = created["metadata"]["uid"]
        if self.point in DELETION:
            await self.start(healthy, "generation 1")
            await self.finished()
            await self.world.kube.delete(self.world.ref(self.name), uid=self.uid)

    @property
    def target(self) -> Target:
        return Target(self.world.namespace, self.name, self.uid)

    async def start(self, queue: str, reason: str) -> None:
        await starter(self.world.temporal, queue)(self.target, WakeSignal([reason]), Urgency.CHANGED)

    async def finished(self) -> None:
        """Waits for the end of the newest run; raises where it failed."""
        await self.world.temporal.get_workflow_handle(self.target.workflow_id).result()


@pytest.fixture(scope="module")
async def cases(cluster: LocalCluster, kube: KubeClient, temporal: Client) -> AsyncIterator[dict[Point, Case]]:
    """All points of death, after a healthy worker has finished what the dead one began."""
    namespace = await new_namespace(kube, "crash")
    elsewhere, beside = (World(cluster, kube, temporal, where) for where in (namespace, "testkube"))
    found = {point: Case(point, beside if point in BESIDE else elsewhere) for point in (*ELSEWHERE, *BESIDE, *DELETION)}
    async with _workers(cluster, temporal, ["healthy"]):
        await asyncio.gather(*(case.prepare("healthy") for case in found.values()))
    await asyncio.gather(*(case.start(case.queue, "to be interrupted") for case in found.values()))
    await die(cluster, [{"queue": case.queue, "call": p.call, "moment": p.moment} for p, case in found.items()])
    async with _workers(cluster, temporal, [case.queue for case in found.values()]):
        await asyncio.gather(*(case.finished() for case in found.values()))
    yield found
    await remove_experiments(kube)


def _workers(cluster, temporal, queues):
    async def work(queue):
        async with await KubeClient.connect(cluster.kubeconfig) as client:
            await run_worker(client, temporal, Options(), task_queue=queue, sandbox=True)

    return running(*(work(queue) for queue in queues))


@pytest.mark.parametrize("point", [*ELSEWHERE, *BESIDE], ids=str)
async def test_a_new_experiment_becomes_ready_with_one_of_each_child(cases, point):
    case = cases[point]
    status = await case.world.reported(case.name)
    places = case.world.places(case.name).children
    assert await case.world.children_of(case.uid) == list(places)
    assert {(r.kind, r.name, r.namespace) for r in status.generated_resources} == {
        (ref.resource.kind, ref.name, ref.namespace) for ref in places
    }
    experiment = await case.world.kube.get(case.world.ref(case.name))
    assert experiment["metadata"]["finalizers"] == [FINALIZER]


@pytest.mark.parametrize("point", [*ELSEWHERE, *BESIDE], ids=str)
async def test_no_event_says_again_what_another_has_said(cases, point):
    case = cases[point]
    messages = [event["message"] for event in await case.world.events(case.name)]
    assert len(messages) == len(set(messages)) <= 1


@pytest.mark.parametrize("point", DELETION, ids=str)
async def test_of_a_deleted_experiment_nothing_is_left(cases, point):
    case = cases[point]
    assert await case.world.get(case.world.ref(case.name)) is None
    assert await case.world.children_of(case.uid) == []


@pytest.mark.parametrize("point", [*ELSEWHERE, *BESIDE, *DELETION], ids=str)
async def test_a_killed_worker_and_the_next_were_one_run(cases, point):
    case = cases[point]
    runs = await case.world.closed_runs(2 if point in DELETION else 1, case.name)
    assert runs[0].status == WorkflowExecutionStatus.COMPLETED
    assert (await runs[0].memo())["reasons"] == ["to be interrupted"]
