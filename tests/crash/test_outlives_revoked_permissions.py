"""What the service may not do any more becomes a condition, and is done once it may again, without a restart."""

from __future__ import annotations

import json
import uuid

import pytest

from kube.client import KubeClient
from localcluster import KubectlError
from support.world import World

RBAC = "rbac.authorization.k8s.io"
TEST_WORKFLOWS = "testworkflows.testworkflows.testkube.io"
TEST_TRIGGERS = "testtriggers.tests.testkube.io"
READ = {"get", "list", "watch"}
MANAGE = READ | {"create", "patch", "delete"}
RIGHTS = {
    "experiments.testbench.agentic-layer.ai": READ | {"patch"},
    "experiments/status.testbench.agentic-layer.ai": {"patch"},
    "configmaps": MANAGE,
    TEST_WORKFLOWS: MANAGE,
    TEST_TRIGGERS: MANAGE,
    "testworkflowtemplates.testworkflows.testkube.io": READ,
    "agents.runtime.agentic-layer.ai": READ,
    "aigateways.runtime.agentic-layer.ai": READ,
    "events": {"create"},
}


class Operator:
    """The user that the service is, with a ClusterRole of his own."""

    def __init__(self, cluster):
        self.cluster, self.name = cluster, f"operator-{uuid.uuid4().hex[:8]}"

    async def may(self, verb, resource):
        try:
            await self.cluster.kubectl("auth", "can-i", verb, resource, "-A", f"--as={self.name}")
        except KubectlError:
            return False
        return True

    async def grant(self, rights):
        """These and no others."""
        rules = [
            {"resources": [resource], "apiGroups": [group], "verbs": sorted(verbs)}
            for (resource, _, group), verbs in ((name.partition("."), verbs) for name, verbs in rights.items() if verbs)
        ]
        role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": self.name}, "rules": rules}
        await self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(role))


@pytest.fixture
async def operator(cluster):
    user = Operator(cluster)
    await user.grant(RIGHTS)
    await cluster.kubectl(
        "create", "clusterrolebinding", user.name, f"--clusterrole={user.name}", f"--user={user.name}"
    )
    yield user
    await cluster.kubectl("delete", "clusterrolebinding,clusterrole", user.name)


@pytest.fixture
async def client(cluster, operator):
    async with await KubeClient.connect(cluster.kubeconfig_for(operator.name)) as client:
        yield client


REVOKED = {
    "the creation of TestWorkflows": (TEST_WORKFLOWS, {"create"}),
    "everything about TestTriggers": (TEST_TRIGGERS, MANAGE),
}


@pytest.mark.parametrize("what", REVOKED)
async def test_a_forbidden_step_is_a_condition_until_it_is_allowed_again(world: World, serve, operator, client, what):
    resource, verbs = REVOKED[what]
    async with serve(client=client):
        await world.create("before", trigger=None)
        await world.reported("before")
        await operator.grant({**RIGHTS, resource: RIGHTS[resource] - verbs})
        await world.until(lambda: operator.may("create", resource), lambda allowed: not allowed)
        await world.create("new")
        await world.edit("before", trigger={"enabled": True})

        ready = (await world.reported("new", reason="Forbidden")).condition("Ready")
        assert f'cannot create resource "{resource.partition(".")[0]}"' in ready.message
        await world.reported("before", reason="Forbidden" if resource == TEST_TRIGGERS else "Reconciled")

        await operator.grant(RIGHTS)
        for name in ("new", "before"):
            await world.reported(name)
            assert all(await world.children(name))
        await world.closed_runs(1, "new")
