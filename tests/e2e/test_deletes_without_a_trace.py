"""A deleted Experiment leaves nothing behind, wherever its children are; a re-created one starts afresh."""

from __future__ import annotations

from support.world import World


async def test_an_experiment_elsewhere_takes_its_children_along(world: World):
    await world.create()
    await world.reported()
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=20s")
    assert await world.children() == [None, None, None]
    run = (await world.closed_runs(2))[0]
    result = await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result()
    assert [change.split()[1] for change in result["changes"]] == [
        "TestTrigger",
        "TestWorkflow",
        "ConfigMap",
        "finalizer",
    ]


async def test_an_experiment_beside_testkube_takes_its_children_along(testkube_world):
    world = testkube_world
    await world.create(world.name)
    await world.reported(world.name)
    await world.cluster.kubectl("delete", "exp", world.name, "-n", "testkube", "--timeout=20s")
    assert await world.children(world.name) == [None, None, None]


async def test_one_that_is_already_going_gets_no_finalizer_and_no_child(world: World):
    blocked = world.experiment()
    blocked["metadata"]["finalizers"] = ["example.com/hold"]
    await world.kube.create(blocked_resource := world.ref().resource, blocked)
    await world.reported()
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--wait=false")
    await world.until(world.children, lambda found: found == [None, None, None])
    going = await world.until(
        lambda: world.kube.get(world.ref()), lambda obj: obj["metadata"]["finalizers"] == ["example.com/hold"]
    )
    assert "deletionTimestamp" in going["metadata"]
    await world.kube.merge_patch(world.ref(), {"metadata": {"finalizers": []}})
    assert blocked_resource.kind == "Experiment"


async def test_another_experiment_of_the_same_name_gets_children_of_its_own(world: World):
    first = await world.create()
    await world.reported()
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=20s")
    second = await world.create(llmAsAJudgeModel="gpt-4o")
    await world.reported()
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    label = "testbench.agentic-layer.ai/experiment-uid"
    assert {c["metadata"]["labels"][label] for c in await world.children()} == {second["metadata"]["uid"]}
    assert (await world.experiment_json())["llm_as_a_judge_model"] == "gpt-4o"


async def test_re_creating_at_once_beside_testkube_ends_with_children_that_stay(testkube_world):
    world = testkube_world
    await world.create(world.name)
    await world.reported(world.name)
    await world.cluster.kubectl("delete", "exp", world.name, "-n", "testkube", "--timeout=20s")
    second = await world.create(world.name)
    await world.reported(world.name)

    def settled(children):
        return all(
            child and [o["uid"] for o in child["metadata"]["ownerReferences"]] == [second["metadata"]["uid"]]
            for child in children
        )

    await world.until(lambda: world.children(world.name), settled)
