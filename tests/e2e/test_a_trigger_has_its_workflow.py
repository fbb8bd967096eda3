"""A TestTrigger never exists without its TestWorkflow: Testkube would drop other triggers of the same event."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest

from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import Source
from localcluster.errors import KubectlError
from support.world import World


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


async def test_a_trigger_in_another_namespace_has_its_workflow_all_its_life(world: World, lives):
    await world.create("ordered")
    await world.reported("ordered")
    await world.cluster.kubectl("delete", "exp", "ordered", "-n", world.namespace, "--timeout=20s")
    found = await world.until(lambda: lives("ordered"), lambda events: len(events) >= len(ORDER))
    assert found == ORDER


async def test_a_trigger_beside_the_experiment_has_its_workflow_all_its_life(testkube_world, lives):
    world = testkube_world
    await world.create(world.name)
    await world.reported(world.name)
    await world.cluster.kubectl("delete", "exp", world.name, "-n", "testkube", "--timeout=20s")
    found = await world.until(lambda: lives(world.name), lambda events: len(events) >= len(ORDER))
    assert found == ORDER


async def test_one_whose_workflow_is_gone_and_cannot_be_made_goes_too(world: World):
    await world.create()
    await world.reported()
    await world.edit(aiGatewayRef={"name": "missing"})
    await world.reported(reason="GatewayMissing")
    workflow = world.places().test_workflow
    await world.cluster.kubectl("delete", "testworkflow", workflow.name, "-n", workflow.namespace)
    config_map, gone, trigger = await world.until(world.children, lambda found: found[2] is None)
    assert (config_map is not None, gone, trigger) == (True, None, None)


@asynccontextmanager
async def refusing(world: World, operation, condition, message, attempt):
    """Until the end of the block, the API server refuses to have the TestWorkflow written where `condition` is false.

    `attempt` is a kubectl command by which that shows.
    """
    group, version = TEST_WORKFLOW.api_version.split("/")
    rule = {"apiGroups": [group], "apiVersions": [version], "operations": [operation], "resources": ["testworkflows"]}
    name = {"name": f"refused-{world.namespace}"}
    other = f"object.metadata.name != '{world.places().test_workflow.name}'"
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": f"{other} || {condition}", "message": message}],
    }
    binding = {"policyName": name["name"], "validationActions": ["Deny"]}
    version = "admissionregistration.k8s.io/v1"
    items = [
        {"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": name, "spec": policy},
        {"apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": name, "spec": binding},
    ]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    async def is_refused():
        try:
            await world.cluster.kubectl(*attempt, "--dry-run=server")
        except KubectlError as error:
            return message in str(error)
        return False

    await world.cluster.kubectl("apply", "-f", "-", stdin=document)
    try:
        await world.until(is_refused)
        yield
    finally:
        await world.cluster.kubectl("delete", "-f", "-", stdin=document)


async def test_one_whose_workflow_is_gone_and_is_refused_goes_until_it_is_taken_again(world: World, tmp_path):
    await world.create()
    await world.reported()
    workflow = world.places().test_workflow
    again = {"apiVersion": TEST_WORKFLOW.api_version, "kind": TEST_WORKFLOW.kind, "spec": {}}
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps({**again, "metadata": {"name": workflow.name, "namespace": workflow.namespace}}))
    async with refusing(world, "CREATE", "false", "no new ones", ("create", "-f", str(file))):
        await world.cluster.kubectl("delete", "testworkflow", workflow.name, "-n", workflow.namespace)
        await world.reported(reason="Rejected")
        assert (await world.until(world.children, lambda found: found[2] is None))[1] is None
    await world.reported()
    assert None not in await world.children()


async def test_a_workflow_is_not_made_anew_under_a_trigger_that_somebody_holds(world: World):
    await world.create()
    await world.reported()
    workflow, trigger = world.places().test_workflow, world.places().test_trigger
    before = await world.kube.get(workflow)
    await world.kube.merge_patch(trigger, {"metadata": {"finalizers": ["example.com/hold"]}})
    patch = ("patch", "testworkflow", workflow.name, "-n", workflow.namespace, "--type=merge", "-p")
    change = (*patch, '{"spec": {"use": [{"name": "x"}]}}')
    async with refusing(world, "UPDATE", "object.spec == oldObject.spec", "spec: field is immutable", change):
        await world.edit(llmAsAJudgeModel="gpt-4o")
        await world.reported(reason="CleanupPending")
        assert (await world.kube.get(workflow))["metadata"]["uid"] == before["metadata"]["uid"]
        await world.kube.merge_patch(trigger, {"metadata": {"finalizers": None}})
        await world.reported()
        assert (await world.kube.get(workflow))["metadata"]["uid"] != before["metadata"]["uid"]
    assert None not in await world.children()
