"""A watcher that starts over settled Experiments starts no run and writes nothing, however the last one ended."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from experiments.contract import workflow_id_prefix
from experiments.names import CHILD_SUFFIXES
from experiments.resources import EXPERIMENT
from kube.objects import ref_of

MANY = 200


@pytest.mark.timeout(300)  # on a busy machine so many take their time
async def test_over_200_settled_experiments_neither_after_sigterm_nor_after_sigkill(world, start_process):
    # It has much to do and is not what is tried here: without the sandbox it does it in half of the time.
    await start_process("worker", WORKFLOW_SANDBOX="false")
    watcher = await start_process("watcher")
    await _create_many(world)
    await world.until(lambda: _completed_runs(world), lambda count: count >= MANY, patience=180)
    versions, runs = await _versions(world), await _runs(world)
    assert runs == {"generation 1": MANY}

    for number in (signal.SIGTERM, signal.SIGKILL):
        await watcher.end(number)
        watcher = await start_process("watcher")
        await watcher.says("watcher is ready")
        # One more goes through the queue behind all the others: when it is Ready, they have been looked at.
        newest = f"after-{number.name.lower()}"
        await world.create(newest)
        await world.reported(newest)
        await world.closed_runs(1, newest)
        assert {ref: version for ref, version in (await _versions(world)).items() if ref in versions} == versions
        assert await _runs(world) == runs


async def _create_many(world):
    at_once = asyncio.Semaphore(20)

    async def create(number):
        async with at_once:
            await world.create(f"settled-{number}")

    await asyncio.gather(*map(create, range(MANY)))


async def _versions(world):
    """Of all Experiments and children."""
    return {
        ref_of(resource, obj): obj["metadata"]["resourceVersion"]
        for resource in (EXPERIMENT, *CHILD_SUFFIXES)
        for obj in await world.kube.list(resource)
    }


def _query(world):
    return f"WorkflowId STARTS_WITH '{workflow_id_prefix(world.namespace, 'settled').removesuffix('/')}'"


async def _completed_runs(world):
    return (await world.temporal.count_workflows(f"{_query(world)} AND ExecutionStatus = 'Completed'")).count


async def _runs(world):
    """How many there were for which reasons."""
    return Counter(
        [", ".join((await run.memo())["reasons"]) async for run in world.temporal.list_workflows(_query(world))]
    )
