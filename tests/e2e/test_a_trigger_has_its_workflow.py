"""A TestTrigger never exists without its TestWorkflow: Testkube would drop other triggers of the same event."""

from __future__ import annotations

import pytest

from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import Source


@pytest.fixture
async def lives(kube):
    """`await lives(name)`: what happened to triggers and workflows of that name, in the order of the API server."""
    start = {}
    for resource in (TEST_TRIGGER, TEST_WORKFLOW):
        async for _, version in kube.list_pages(Source(resource, "testkube")):
            start[resource] = version

    async def read(name):
        found = []
        for resource, version in start.items():
            source = Source(resource, "testkube")
            async with kube.watch(source, version, idle_seconds=1, server_seconds=1) as events:
                async for event in events:
                    meta = event["object"]["metadata"]
                    if event["type"] in {"ADDED", "DELETED"} and meta["name"].startswith(f"{name}-"):
                        found.append((int(meta["resourceVersion"]), event["type"], resource.kind))
        return [(verb, kind) for _, verb, kind in sorted(found)]

    return read


ORDER = [("ADDED", "TestWorkflow"), ("ADDED", "TestTrigger"), ("DELETED", "TestTrigger"), ("DELETED", "TestWorkflow")]


async def test_elsewhere_from_its_creation_to_its_deletion(world, lives):
    await world.create("ordered")
    await world.reported("ordered")
    await world.cluster.kubectl("delete", "exp", "ordered", "-n", world.namespace, "--timeout=20s")
    found = await world.until(lambda: lives("ordered"), lambda events: len(events) >= len(ORDER))
    assert found == ORDER


async def test_beside_the_experiment_where_the_garbage_collector_knows_no_order(testkube_world, lives):
    world = testkube_world
    await world.create(world.name)
    await world.reported(world.name)
    await world.cluster.kubectl("delete", "exp", world.name, "-n", "testkube", "--timeout=20s")
    found = await world.until(lambda: lives(world.name), lambda events: len(events) >= len(ORDER))
    assert found == ORDER


async def test_one_whose_workflow_is_gone_and_cannot_be_made_goes_too(world):
    await world.create()
    await world.reported()
    await world.edit(aiGatewayRef={"name": "missing"})
    await world.reported(reason="GatewayMissing")
    workflow = world.places().test_workflow
    await world.cluster.kubectl("delete", "testworkflow", workflow.name, "-n", workflow.namespace)
    config_map, gone, trigger = await world.until(world.children, lambda found: found[2] is None)
    assert (config_map is not None, gone, trigger) == (True, None, None)
