"""Two services at once would undo each other's work, so nothing is taken over while the Go operator is alive."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.world import World

LEASE = "5612223f.agentic-layer.ai"


@pytest.fixture
async def apply(world: World):
    """Applies an object in the namespace of the test, which is gone before the next."""
    applied = set()

    async def do(obj):
        obj["metadata"]["namespace"] = world.namespace
        applied.add(f"{obj['kind']}/{obj['metadata']['name']}")
        await world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))

    yield do
    await world.cluster.kubectl("delete", "-n", world.namespace, *applied)


def deployment(image):
    container = {"name": "manager", "image": image}
    template = {"metadata": {"labels": {"app": "go"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "go"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "controller-manager"}, "spec": spec}


def lease(renewed):
    time = f"{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {"holderIdentity": "controller-manager-x_1", "leaseDurationSeconds": 15, "renewTime": time}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}, "spec": spec}


async def test_a_deployment_of_it_is_in_the_way_until_it_is_scaled_down(world: World, go_operator, migrate, apply):
    old = await go_operator.make_beside(await world.create())
    before = [await world.kube.get(ref) for ref in old]
    await apply(deployment("registry.example:5000/mirror/testbench/operator:0.0.1"))

    said = await migrate()
    assert said.code == 1
    scale = f"kubectl scale -n {world.namespace} deployment/controller-manager --replicas=0"
    assert scale in said.err
    assert [await world.kube.get(ref) for ref in old] == before
    said = await migrate(dry_run=True)
    assert (said.code, said.out.count("  replace ")) == (0, 3)
    assert scale in said.err

    await world.cluster.kubectl(*scale.split()[1:])
    assert (await migrate()).code == 0


async def test_its_lease_is_in_the_way_until_it_has_run_out(world: World, migrate, apply):
    await apply(lease(datetime.now(UTC)))
    said = await migrate()
    assert said.code == 1
    assert f"controller-manager-x_1 holds Lease {world.namespace}/{LEASE} until" in said.err
    await apply(lease(datetime.now(UTC) - timedelta(minutes=1)))
    assert (await migrate()).code == 0


async def test_somebody_who_knows_better_may_go_on(world: World, go_operator, migrate, apply):
    await go_operator.make_beside(await world.create())
    await apply(deployment("ghcr.io/agentic-layer/testbench/operator@sha256:0123"))
    assert (await migrate()).code == 1
    assert (await migrate(ignore_go_operator=True)).code == 0


async def test_deployments_of_others_are_not_in_the_way(migrate, apply):
    await apply(deployment("ghcr.io/agentic-layer/agent-runtime-operator:1.0"))
    said = await migrate()
    assert (said.code, said.err) == (0, "")
