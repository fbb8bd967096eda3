"""CRDs of Testkube may come late, or go, and those of agents be missing: the status says so, no restart is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

import localcluster
from support.clusters import TEMPLATES
from support.world import World

_CRDS = Path(localcluster.__file__).with_name("crds")
WORKFLOWS = ("testworkflows.testworkflows.testkube.io", "testworkflowtemplates.testworkflows.testkube.io")
TRIGGERS = ("testtriggers.tests.testkube.io",)
RUNTIME = ("agents.runtime.agentic-layer.ai", "aigateways.runtime.agentic-layer.ai")


@pytest.fixture
async def crds(cluster):
    """`remove` takes CRDs away, and all of their objects; at the end of the test all CRDs are there again."""
    crds = Crds(cluster)
    yield crds
    await crds.install("")


class Crds:
    def __init__(self, cluster):
        self.cluster = cluster

    async def remove(self, *crds):
        await self.cluster.kubectl("delete", "crd", *crds)

    async def install(self, *files):
        for file in files:
            await self.cluster.install(_CRDS / file)
        await self.cluster.kubectl("apply", "-n", "testkube", "-f", str(TEMPLATES))


async def test_testkube_may_be_installed_after_the_service_and_the_agent_runtime_not_at_all(world: World, serve, crds):
    await crds.remove(*WORKFLOWS, *TRIGGERS, *RUNTIME)
    async with serve():
        await world.create()
        going = await world.create("going")
        status = await world.reported(reason="TestkubeMissing")
        assert status.condition("WorkflowReady").reason == "TestkubeMissing"
        await world.reported("going", reason="TestkubeMissing")
        await world.kube.delete(world.ref("going"), uid=going["metadata"]["uid"])
        await world.until(lambda: world.get(world.ref("going")), lambda found: found is None)
        assert await world.get(world.places("going").config_map) is None

        await crds.install("testworkflows.yaml", "testtriggers.yaml")
        status = await world.reported()
        assert status.condition("AgentResolved").reason == "AgentRuntimeMissing"
        assert all(await world.children())
        await world.closed_runs(1)


async def test_a_crd_that_goes_takes_children_along_and_brings_them_back(world: World, serve, crds):
    async with serve():
        await world.create()
        await world.reported()
        await crds.remove(*TRIGGERS)
        status = await world.reported(reason="TestkubeMissing")
        assert status.condition("WorkflowReady").status == "True"
        assert status.condition("TriggerReady").status == "False"
        await crds.install("testtriggers.yaml")
        await world.reported()
        assert all(await world.children())
