"""A success of the API server is none where it made something else of the object; it is said, and heals by itself."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from localcluster.errors import KubectlError
from support.world import World

GROUP = "admissionregistration.k8s.io/v1"


def policy(name, operations, expression, namespaces):
    rule = {
        "apiGroups": ["testworkflows.testkube.io"],
        "apiVersions": ["v1"],
        "operations": operations,
        "resources": ["testworkflows"],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "only-this-test", "expression": namespaces}],
        "failurePolicy": "Ignore",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
    return [
        {"apiVersion": GROUP, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {"apiVersion": GROUP, "kind": "MutatingAdmissionPolicyBinding", **binding},
    ]


@pytest.fixture
def rewriting(world: World):
    """`async with rewriting(expression)`: a policy that changes this test's TestWorkflow on its way in."""

    @asynccontextmanager
    async def at_work(expression, operations=("CREATE", "UPDATE")):
        name = f"rewrite-{world.namespace}"
        condition = f"object.metadata.name.endsWith('.{world.namespace}')"
        objects = policy(name, list(operations), expression, condition)
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        await world.cluster.kubectl("apply", "-f", "-", stdin=document)
        await in_force(world)
        try:
            yield
        finally:
            await world.cluster.kubectl("delete", "-f", "-", stdin=document)

    return at_work


async def in_force(world: World):
    """Policies take a moment: returns once a probe of the same rules comes back changed."""
    probe = {
        "apiVersion": "testworkflows.testkube.io/v1",
        "kind": "TestWorkflow",
        "metadata": {"name": f"probe.{world.namespace}", "namespace": "testkube"},
        "spec": {"use": [{"name": "a"}, {"name": "b"}], "events": [{"cronjob": {"cron": "1 1 1 1 1"}}]},
    }
    args = ("create", "--dry-run=server", "-o", "json", "-f", "-")

    async def changed():
        try:
            return json.loads(await world.cluster.kubectl(*args, stdin=json.dumps(probe)))["spec"] != probe["spec"]
        except KubectlError:
            return False

    await world.until(changed)


async def test_a_rewritten_field_is_told_with_both_values_and_cured_when_the_policy_goes(world: World, rewriting):
    async with rewriting('[JSONPatch{op: "replace", path: "/spec/use/0/name", value: "mirror-run-template"}]'):
        await world.create()
        status = await world.reported(reason="Overruled")
        words = 'spec.use[0].name was to be "run-template" and is "mirror-run-template"'
        assert words in status.condition("Ready").message
        assert status.condition("WorkflowReady").status == "False"
        assert status.condition("Reconciling").reason == "Overruled"
        assert (await world.runs())[0].close_time is None
    await world.reported()
    assert (await world.kube.get(world.places().test_workflow))["spec"]["use"][0]["name"] == "run-template"


async def test_a_field_that_is_added_where_this_service_writes_is_told(world: World, rewriting):
    async with rewriting('[JSONPatch{op: "add", path: "/spec/events", value: [{"cronjob": {"cron": "* * * * *"}}]}]'):
        await world.create()
        status = await world.reported(reason="Overruled")
        assert "spec.events was to go" in status.condition("Ready").message
    await world.reported()


async def test_a_field_that_is_stripped_is_told(world: World, rewriting):
    async with rewriting('[JSONPatch{op: "remove", path: "/spec/use/1"}]'):
        await world.create()
        status = await world.reported(reason="Overruled")
        assert "spec.use was to be" in status.condition("Ready").message
    await world.reported()


async def test_history_tells_of_what_was_created_all_the_same(world: World, rewriting):
    async with rewriting('[JSONPatch{op: "replace", path: "/spec/use/0/name", value: "mirror-run-template"}]'):
        await world.create()
        await world.reported(reason="Overruled")
    await world.reported()
    (run,) = await world.closed_runs(1)
    changes = (await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result())["changes"]
    workflow = world.places().test_workflow
    assert f"created {workflow}" in changes
    assert f"changed {workflow} (spec.use[0].name)" in changes
