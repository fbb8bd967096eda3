"""Temporal may be away, or be killed in the middle of runs: nothing is lost, and no process has to be restarted."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RetryConfig

from support.world import World


@pytest.fixture
async def impatient(cluster):
    """A client whose calls fail at once, as those of others do only after some time."""
    retry = RetryConfig(max_retries=1)
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter, retry_config=retry)


async def test_experiments_applied_while_temporal_is_away_become_ready_when_it_is_back(world: World, serve, impatient):
    async with serve(watcher=False), serve(worker=False, temporal=impatient):
        await world.create("before")
        await world.closed_runs(1, "before")
        await world.cluster.stop_temporal()
        try:
            await world.create("meanwhile")
            await world.edit("before", llmAsAJudgeModel="gpt-4o")
        finally:
            await world.cluster.start_temporal()
        await asyncio.gather(world.reported("before"), world.reported("meanwhile"))
        assert all(await world.children("meanwhile"))
        await asyncio.gather(world.closed_runs(2, "before"), world.closed_runs(1, "meanwhile"))


async def test_runs_that_were_under_way_go_on(world: World, serve, holding):
    """One is held in the middle of its steps, one waits for a gateway, the others are wherever they happen to be."""
    names = [f"demo-{number}" for number in range(10)]
    async with serve(client=holding):
        await world.create("waiting", aiGatewayRef={"name": "judge", "namespace": world.namespace})
        await world.reported("waiting", reason="GatewayMissing")
        held = holding.hold("create TestWorkflow")
        await asyncio.gather(*(world.create(name) for name in names))
        await held.reached.wait()
        await world.cluster.stop_temporal()
        held.release()
        await world.cluster.start_temporal()

        await asyncio.gather(*(world.reported(name) for name in names))
        await world.gateway("judge")
        await world.reported("waiting")
        names.append("waiting")
        await asyncio.gather(*(world.closed_runs(1, name) for name in names))
    assert all([all(await world.children(name)) for name in names])
