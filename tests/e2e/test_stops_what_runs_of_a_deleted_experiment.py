"""What still runs of a deleted Experiment is stopped before its ConfigMap goes, for which its pod would wait."""

from __future__ import annotations

import pytest

from support.world import World


async def delete(world: World, name="demo"):
    await world.cluster.kubectl("delete", "exp", name, "-n", world.namespace, "--timeout=60s")


async def last_changes(world: World, name="demo"):
    run = (await world.closed_runs(2, name))[0]
    return (await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result())["changes"]


@pytest.mark.parametrize("status", ["assigned", "starting", "running", "paused"])
async def test_an_execution_that_is_about_to_start_is_aborted(world: World, testkube, status):
    await world.create()
    await world.reported()
    workflow = world.places().test_workflow
    finished = testkube.add(workflow.name, "passed")
    going = testkube.add(workflow.name, status)
    await delete(world)
    assert (finished["result"]["status"], going["result"]["status"]) == ("passed", "canceled")
    assert testkube.unfinished(workflow.name) == []
    assert await world.children() == [None, None, None]
    assert await last_changes(world) == [
        f"deleted {world.places().test_trigger}",
        f"deleted {workflow}",
        f"aborted 1 execution of {workflow}",
        f"deleted {world.places().config_map}",
        "removed finalizer testbench.agentic-layer.ai/cleanup",
    ]


async def test_an_experiment_may_let_them_go_on(world: World, testkube):
    await world.create(deletionPolicy="Orphan")
    await world.reported()
    going = testkube.add(world.places().test_workflow.name, "running")
    await delete(world)
    assert going["result"]["status"] == "running"
    assert await world.children() == [None, None, None]
    assert [change.split()[0] for change in await last_changes(world)] == ["deleted", "deleted", "deleted", "removed"]


async def test_where_nothing_runs_nothing_is_said(world: World):
    await world.create()
    await world.reported()
    await delete(world)
    assert not [change for change in await last_changes(world) if change.startswith("aborted")]


async def test_an_execution_of_another_experiment_goes_on(world: World, testkube):
    for name in ("one", "other"):
        await world.create(name)
        await world.reported(name)
    other = testkube.add(world.places("other").test_workflow.name, "running")
    await delete(world, "one")
    assert other["result"]["status"] == "running"


async def test_an_execution_beside_the_experiment_is_aborted_too(testkube_world, testkube):
    world = testkube_world
    await world.create(world.name)
    await world.reported(world.name)
    going = testkube.add(world.places(world.name).test_workflow.name, "assigned")
    await delete(world, world.name)
    assert going["result"]["status"] == "canceled"
