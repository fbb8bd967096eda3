"""Two watchers, of which one leads, and two workers, as the overlay `ha` runs them, each with its own ServiceAccount's
token, over 200 Experiments: what is killed in the middle loses and doubles nothing, what starts later starts nothing.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from experiments.contract import Result, workflow_id_prefix
from experiments.models import ExperimentStatus
from experiments.names import CHILD_SUFFIXES, UID_LABEL
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef, ref_of
from support.clusters import DEPLOY, kubeconfig_of
from support.processes import ServiceProcess, Start, processes
from support.world import World, new_namespace, remove_experiments

MANY = 200


@dataclass
class Settled:
    """The Experiments once all are Ready, and who is at work then."""

    world: World
    watcher: ServiceProcess
    start: Start


@pytest.fixture(scope="module")
async def settled(cluster, kube, temporal, tmp_path_factory) -> AsyncIterator[Settled]:
    """While they were created, the leader and a worker were killed."""
    directory = tmp_path_factory.mktemp("many")
    await cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    watching = {"LEADER_ELECT": "true", "LEASE_NAMESPACE": "experiment-operator"}
    watching["KUBECONFIG"] = str(await kubeconfig_of(cluster, "watcher", directory))
    # They have much to do and are not what is tried here: without the sandbox they do it in half of the time.
    working = {"KUBECONFIG": str(await kubeconfig_of(cluster, "worker", directory)), "WORKFLOW_SANDBOX": "false"}
    world = World(cluster, kube, temporal, await new_namespace(kube, "many"))
    async with processes({**cluster.env(), "TEMPORAL_TASK_QUEUE": "many"}, directory) as start:
        first = await start("watcher", **watching)
        await first.says("leading")
        second = await start("watcher", **watching)
        workers = [await start("worker", **working) for _ in range(2)]
        for worker in workers:
            await worker.says("worker is ready")

        await _create(world, range(MANY // 2))
        await world.until(lambda: _ready(world), lambda count: count >= MANY // 10)
        killed = await asyncio.gather(first.end(signal.SIGKILL), workers[0].end(signal.SIGKILL))
        assert killed == [-signal.SIGKILL] * 2
        await _create(world, range(MANY // 2, MANY))
        await second.says("leading")
        await world.until(lambda: _ready(world), lambda count: count == MANY)
        yield Settled(world, second, start)
    await remove_experiments(kube)


@pytest.mark.timeout(400)  # on a busy machine so many take their time
async def test_a_killed_leader_and_a_killed_worker_lose_and_double_nothing(settled: Settled) -> None:
    world = settled.world
    assert await _children(world) == {EXPERIMENT.kind: MANY, **dict.fromkeys((r.kind for r in CHILD_SUFFIXES), MANY)}
    made = await _made(world)
    assert {change: count for change, count in made.items() if count > 1} == {}


@pytest.mark.timeout(400)
async def test_a_watcher_that_starts_over_them_starts_and_writes_nothing(settled: Settled) -> None:
    """However the one before has ended."""
    world, watcher = settled.world, settled.watcher
    await world.until(lambda: _runs(world, "many-", "ExecutionStatus = 'Running'"), lambda open_runs: not open_runs)
    versions, runs = await _versions(world), await _runs(world, "many-")
    assert runs.total() >= MANY
    for number in (signal.SIGTERM, signal.SIGKILL):
        await watcher.end(number)
        watcher = await settled.start("watcher")
        await watcher.says("watcher is ready")
        # One more goes through the queue behind all the others: when it is Ready, they have been looked at.
        newest = f"after-{number.name.lower()}"
        await world.create(newest)
        await world.reported(newest)
        await world.closed_runs(1, newest)
        assert {ref: version for ref, version in (await _versions(world)).items() if ref in versions} == versions
        assert await _runs(world, "many-") == runs


async def _create(world: World, numbers: range) -> None:
    await asyncio.gather(*(world.create(f"many-{number}") for number in numbers))


async def _ready(world: World) -> int:
    listed = await world.kube.list(EXPERIMENT, namespace=world.namespace)
    conditions = (ExperimentStatus.model_validate(obj.get("status", {})).condition("Ready") for obj in listed)
    return sum(1 for ready in conditions if ready and ready.status == "True")


async def _children(world: World) -> dict[str, int]:
    """How many of each kind there are, each of another Experiment."""
    uids = {obj["metadata"]["uid"] for obj in await world.kube.list(EXPERIMENT, namespace=world.namespace)}
    found = {EXPERIMENT.kind: len(uids)}
    for resource in CHILD_SUFFIXES:
        owners = [
            child["metadata"]["labels"][UID_LABEL]
            for child in await world.kube.list(resource, label_selector=UID_LABEL)
        ]
        assert len(set(owners)) == len(owners)
        found[resource.kind] = len(uids.intersection(owners))
    return found


async def _versions(world: World) -> dict[ObjectRef, str]:
    """Of all Experiments and children."""
    return {
        ref_of(resource, obj): obj["metadata"]["resourceVersion"]
        for resource in (EXPERIMENT, *CHILD_SUFFIXES)
        for obj in await world.kube.list(resource)
    }


def _query(world: World, name: str, *more: str) -> str:
    prefix = workflow_id_prefix(world.namespace, name).removesuffix("/")
    return " AND ".join([f"WorkflowId STARTS_WITH '{prefix}'", *more])


async def _runs(world: World, name: str, *more: str) -> Counter[str]:
    """How many there were for which reasons."""
    runs = world.temporal.list_workflows(_query(world, name, *more))
    return Counter([", ".join((await run.memo())["reasons"]) async for run in runs])


async def _made(world: World) -> Counter[str]:
    """How often runs say that they made each object."""
    made: Counter[str] = Counter()
    async for run in world.temporal.list_workflows(_query(world, "", "ExecutionStatus = 'Completed'")):
        handle = world.temporal.get_workflow_handle(run.id, run_id=run.run_id, result_type=Result)
        made.update(change for change in (await handle.result()).changes if change.startswith("created "))
    assert made
    return made
