"""As the overlay `ha` runs it: two watchers, of which one leads, and two workers, each with its own ServiceAccount's
token. The leader and a worker are killed in the middle of 200 Experiments.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from experiments.contract import Result, workflow_id_prefix
from experiments.models import ExperimentStatus
from experiments.names import CHILD_SUFFIXES, UID_LABEL
from experiments.resources import EXPERIMENT
from support.clusters import DEPLOY, kubeconfig_of

MANY = 200


@pytest.mark.timeout(300)
async def test_the_leader_and_a_worker_are_killed_in_the_middle(world, start_process, tmp_path):
    await world.cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    watching = {"LEADER_ELECT": "true", "LEASE_NAMESPACE": "experiment-operator"}
    watching["KUBECONFIG"] = str(await kubeconfig_of(world.cluster, "watcher", tmp_path))
    working = {"KUBECONFIG": str(await kubeconfig_of(world.cluster, "worker", tmp_path)), "WORKFLOW_SANDBOX": "false"}
    first = await start_process("watcher", **watching)
    await first.says("leading")
    second = await start_process("watcher", **watching)
    workers = [await start_process("worker", **working) for _ in range(2)]
    for worker in workers:
        await worker.says("worker is ready")

    await _create(world, range(MANY // 2))
    await world.until(lambda: _ready(world), lambda count: count >= MANY // 10, patience=120)
    assert await asyncio.gather(first.end(signal.SIGKILL), workers[0].end(signal.SIGKILL)) == [-signal.SIGKILL] * 2
    await _create(world, range(MANY // 2, MANY))

    await second.says("leading")
    await world.until(lambda: _ready(world), lambda count: count == MANY, patience=180)
    assert await _children(world) == {EXPERIMENT.kind: MANY, **dict.fromkeys((r.kind for r in CHILD_SUFFIXES), MANY)}
    made = await _made(world)
    assert {change: count for change, count in made.items() if count > 1} == {}


async def _create(world, numbers):
    await asyncio.gather(*(world.create(f"many-{number}") for number in numbers))


async def _ready(world):
    listed = await world.kube.list(EXPERIMENT, namespace=world.namespace)
    conditions = (ExperimentStatus.model_validate(obj.get("status", {})).condition("Ready") for obj in listed)
    return sum(1 for ready in conditions if ready and ready.status == "True")


async def _children(world):
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


async def _made(world):
    """How often runs say that they made each object."""
    prefix = workflow_id_prefix(world.namespace, "").removesuffix("/")
    query = f"WorkflowId STARTS_WITH '{prefix}' AND ExecutionStatus = 'Completed'"
    made = Counter()
    async for run in world.temporal.list_workflows(query):
        handle = world.temporal.get_workflow_handle(run.id, run_id=run.run_id, result_type=Result)
        made.update(change for change in (await handle.result()).changes if change.startswith("created "))
    assert made
    return made
