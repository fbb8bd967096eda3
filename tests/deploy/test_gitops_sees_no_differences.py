"""What Git does not have is no difference to whoever applies server-side: caBundle, Leases, defaults, status."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest

from kube.objects import VALIDATING_WEBHOOK_CONFIGURATION, ObjectRef
from support.installation import Installation
from support.polling import until
from support.world import World

CONFIGURATION = ObjectRef(VALIDATING_WEBHOOK_CONFIGURATION, "", "experiment-operator")
GITOPS = ("--server-side", "--field-manager=gitops", "-f", "-")


@pytest.fixture
async def installed(cluster, built, tmp_path):
    """It runs, and has done to its objects what it does."""
    found = Installation(cluster, json.loads(json.dumps(built("overlays/ha"))), tmp_path)
    await found.apply()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(found.remove)
        await found.run(stack)
        yield found


async def bundles(kube):
    configuration = await kube.get(CONFIGURATION)
    return [webhook["clientConfig"].get("caBundle") for webhook in configuration["webhooks"]]


async def test_in_the_service_and_in_experiments(installed, world: World):
    await until(lambda: bundles(world.kube), all)
    await world.agent(url="http://weather.example:8000/.well-known/agent-card.json")
    experiment = json.dumps(world.experiment(scenarios=[{"name": "s", "steps": [{"input": "Hello?"}]}]))
    await world.cluster.kubectl("apply", *GITOPS, stdin=experiment)
    await world.reported()

    await installed.as_in_git("diff")
    await world.cluster.kubectl("diff", *GITOPS, stdin=experiment)
    before = await bundles(world.kube)
    await installed.as_in_git("apply")
    assert await bundles(world.kube) == before
