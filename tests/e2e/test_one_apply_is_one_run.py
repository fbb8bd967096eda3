"""The service is not woken by itself: one apply is one run, and a settled cluster is left in peace."""

from __future__ import annotations

import asyncio

from experiments.resources import EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP
from support.world import World


async def test_a_settled_cluster_sees_no_runs_and_no_writes(world: World):
    """Ten seconds of watching after 20 creations and 20 edits: each was one run, and nothing comes after."""
    names = [f"demo-{number}" for number in range(20)]
    await asyncio.gather(*(world.create(name) for name in names))
    await asyncio.gather(*(world.reported(name) for name in names))
    await asyncio.gather(*(world.edit(name, llmAsAJudgeModel="gpt-4o") for name in names))
    await asyncio.gather(*(world.reported(name) for name in names))

    versions = await _versions(world)
    await asyncio.sleep(10)
    assert await _versions(world) == versions
    runs = await asyncio.gather(*(world.runs(name) for name in names))
    assert [len(found) for found in runs] == [2] * len(names)


async def _versions(world: World):
    found = {}
    for resource in (EXPERIMENT, CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER):
        for obj in await world.kube.list(resource):
            meta = obj["metadata"]
            if world.namespace in {meta["namespace"], meta["name"].rpartition(".")[2]}:
                found[resource, meta["name"]] = meta["resourceVersion"]
    return found


async def test_an_agent_and_its_experiment_applied_together_are_one_run(world: World):
    await world.agent(url="http://weather.svc:8000/.well-known/agent-card.json")
    await world.create()
    status = await world.reported()
    assert status.agent_url == "http://weather.svc:8000"
    await world.closed_runs(1)


async def test_a_run_knows_why_it_was_asked_for(world: World):
    """Also in the end, by the watcher's signal, and not only from the note with which it began."""
    await world.create()
    await world.reported()
    [run] = await world.closed_runs(1)
    result = await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result()
    assert result["reasons"] == (await world.reasons())[0] != []
