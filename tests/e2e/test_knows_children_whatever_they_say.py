"""A child of which somebody replaced everything is known by its uid; one that may not be changed is made anew."""

from __future__ import annotations

import json

from localcluster.errors import KubectlError
from support.world import World


async def test_a_config_map_that_was_replaced_wholesale_is_repaired(world: World):
    await world.create()
    await world.reported()
    await world.closed_runs(1)  # what comes now is another's
    ref = world.places().config_map
    before = await world.kube.get(ref)
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"experiment.json": "{}"}}
    bare["metadata"] = {"name": ref.name, "namespace": ref.namespace}
    await world.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(bare))
    after = await world.until(lambda: world.kube.get(ref), lambda live: live["data"] == before["data"])
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    await world.reported()


async def test_an_immutable_config_map_is_made_anew(world: World):
    await world.create()
    await world.reported()
    await world.closed_runs(1)  # what comes now is another's
    ref = world.places().config_map
    before = await world.kube.get(ref)
    await world.kube.merge_patch(ref, {"immutable": True})
    await world.edit(llmAsAJudgeModel="gpt-4o")
    await world.reported()
    after = await world.kube.get(ref)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert "immutable" not in after
    assert (await world.experiment_json())["llm_as_a_judge_model"] == "gpt-4o"
    last = (await world.closed_runs(2))[0]
    result = await world.temporal.get_workflow_handle(last.id, run_id=last.run_id).result()
    assert any(change.startswith(f"replaced {ref}") for change in result["changes"])


async def test_a_workflow_whose_crd_lets_nobody_change_it_is_made_anew_without_its_trigger_meanwhile(world: World):
    await world.create()
    await world.reported()
    await world.closed_runs(1)  # what comes now is another's
    ref = world.places().test_workflow
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"immutable-{world.namespace}"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["testworkflows.testkube.io"],
                        "apiVersions": ["v1"],
                        "operations": ["UPDATE"],
                        "resources": ["testworkflows"],
                    }
                ]
            },
            "validations": [
                {
                    "expression": f"object.metadata.name != '{ref.name}' || object.spec == oldObject.spec",
                    "message": "spec: Invalid value: field is immutable",
                }
            ],
        },
    }
    name = {"name": f"immutable-{world.namespace}"}
    binding = {
        "apiVersion": policy["apiVersion"],
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": name,
        "spec": {"policyName": name["name"], "validationActions": ["Deny"]},
    }
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
    await world.cluster.kubectl("apply", "-f", "-", stdin=document)
    try:
        await world.until(lambda: is_refused(world, ref))
        before = await world.kube.get(ref)
        await world.edit(llmAsAJudgeModel="gpt-4o")
        await world.reported()
        after = await world.kube.get(ref)
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert (await world.use())["evaluate"]["model"] == "gpt-4o"
        last = (await world.closed_runs(2))[0]
        changes = (await world.temporal.get_workflow_handle(last.id, run_id=last.run_id).result())["changes"]
        trigger = world.places().test_trigger
        told = "; ".join(changes)
        assert told.index(f"deleted {trigger}") < told.index(f"replaced {ref}") < told.index(f"created {trigger}")
    finally:
        await world.cluster.kubectl("delete", "-f", "-", stdin=document)


async def is_refused(world: World, ref):
    patch = '{"spec": {"use": [{"name": "x"}]}}'
    args = ("patch", ref.resource.kind, ref.name, "-n", ref.namespace, "--type=merge", "--dry-run=server", "-p", patch)
    try:
        await world.cluster.kubectl(*args)
    except KubectlError as error:
        return "immutable" in str(error)
    return False
