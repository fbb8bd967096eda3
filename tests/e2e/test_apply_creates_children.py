"""An applied Experiment becomes Ready, with its three children as it says, beside it and elsewhere."""

from __future__ import annotations

import json

from support.world import World


async def test_an_experiment_elsewhere_gets_children_in_testkubes_namespace(world: World):
    await world.create(scenarios=[{"name": "s", "steps": [{"input": "Hello?"}]}])
    status = await world.reported()

    config_map, workflow, trigger = await world.children()
    assert config_map["metadata"]["namespace"] == "testkube"
    assert (await world.experiment_json())["scenarios"] == [{"name": "s", "steps": [{"input": "Hello?"}]}]
    assert workflow["spec"]["content"]["files"][0]["contentFrom"]["configMapKeyRef"] == {
        "name": config_map["metadata"]["name"],
        "key": "experiment.json",
    }
    assert trigger["spec"]["testSelector"]["name"] == workflow["metadata"]["name"]
    assert trigger["spec"]["resourceSelector"] == {"name": "weather", "namespace": world.namespace}
    assert {r.kind for r in status.generated_resources} == {"ConfigMap", "TestWorkflow", "TestTrigger"}


async def test_elsewhere_nothing_owns_a_child(world: World):
    """The garbage collector knows no order, and deletes what has an owner in another namespace."""
    await world.create()
    await world.reported()
    assert not [child for child in await world.children() if "ownerReferences" in child["metadata"]]


async def test_beside_testkube_the_experiment_owns_all_three(testkube_world):
    world = testkube_world
    created = await world.create(world.name)
    await world.reported(world.name)

    children = await world.children(world.name)
    assert [c["metadata"]["name"] for c in children] == [
        f"{world.name}{s}" for s in ("-experiment", "-workflow", "-trigger")
    ]
    for child in children:
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (created["metadata"]["uid"], True)
        # OpenShift lets only those set it who may change an Experiment's finalizers, and the worker may not.
        assert "blockOwnerDeletion" not in owner
    # The garbage collector knows no order, and a trigger must not outlive its workflow.
    finalizers = (await world.kube.get(world.ref(world.name)))["metadata"]["finalizers"]
    assert finalizers == ["testbench.agentic-layer.ai/cleanup"]


async def test_kubectl_apply_wait_get_and_describe_tell_a_person_what_happened(world: World):
    await world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(world.experiment()))
    await world.cluster.kubectl("wait", "-n", world.namespace, "exp/demo", "--for=condition=Ready", "--timeout=20s")

    (row,) = (await world.cluster.kubectl("get", "exp", "-n", world.namespace, "--no-headers")).splitlines()
    assert row.split()[:4] == ["demo", "weather", "True", "Reconciled"]
    await world.until(world.events)
    described = await world.cluster.kubectl("describe", "exp", "demo", "-n", world.namespace)
    assert "created TestWorkflow testkube/demo-workflow" in described


async def test_the_finalizer_is_there_before_the_first_child(world: World):
    await world.create()
    await world.reported()

    experiment = await world.kube.get(world.ref())
    (run,) = await world.closed_runs(1)
    changes = (await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result())["changes"]
    assert changes[0] == "added finalizer testbench.agentic-layer.ai/cleanup"
    assert experiment["metadata"]["finalizers"] == ["testbench.agentic-layer.ai/cleanup"]
