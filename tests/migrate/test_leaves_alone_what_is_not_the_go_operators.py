"""An object is taken over only if both its name and its owner say that the Go operator made it for the Experiment."""

from __future__ import annotations

import pytest

from experiments.resources import GROUP, TEST_TRIGGER
from kube.objects import CONFIG_MAP, ObjectRef
from support.world import World


@pytest.fixture
async def put(world: World):
    """`await put("name", namespace=…, owner=…, labels=…)`: a ConfigMap of somebody."""

    async def create(name, namespace=None, owner=None, labels=None):
        meta = {"name": name, "namespace": namespace or world.namespace, "labels": labels or {}}
        if owner:
            meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "Experiment", "name": "other", **owner}]
        await world.kube.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        return ObjectRef(CONFIG_MAP, meta["namespace"], name)

    return create


@pytest.mark.parametrize(
    "owner",
    {
        "nobody": None,
        "another Experiment": {"uid": "00000000-0000-0000-0000-000000000000", "controller": True},
    }.items(),
    ids=lambda item: item[0],
)
async def test_the_right_name_of_another_owner(world: World, migrate, put, owner):
    await world.create()
    await _is_left(world, migrate, await put("demo-experiment", owner=owner[1]))


async def test_the_right_owner_who_does_not_control_it(world: World, migrate, put):
    experiment = await world.create()
    await _is_left(world, migrate, await put("demo-experiment", owner={"uid": experiment["metadata"]["uid"]}))


async def test_the_right_owner_of_another_name(world: World, migrate, put):
    experiment = await world.create()
    ref = await put("notes", owner={"uid": experiment["metadata"]["uid"], "controller": True})
    await _is_left(world, migrate, ref, said=False)


async def test_an_anchor_of_another_experiment(world: World, migrate, put):
    """`a` in `b-c` and `a-b` in `c` have one name in the second generation; the labels tell them apart."""
    await world.create()
    labels = {"managed-by": "experiment-controller", "resource-type": "anchor", "experiment-namespace": "another"}
    labels = {f"{GROUP}/{key}": value for key, value in {**labels, "experiment-name": "demo"}.items()}
    ref = await put(f"demo-{world.namespace}-anchor", namespace="testkube", labels=labels)
    await _is_left(world, migrate, ref, said=False)
    await world.kube.delete(ref, uid=(await world.kube.get(ref))["metadata"]["uid"])


async def test_what_only_the_status_names(world: World, migrate):
    """One version between the two generations left no owner at all on what it made in another namespace."""
    await world.create()
    trigger = ObjectRef(TEST_TRIGGER, "testkube", "demo-trigger")
    spec = {"action": "run", "event": "modified", "execution": "testworkflow", "testSelector": {"name": "x"}}
    meta = {"name": trigger.name, "namespace": trigger.namespace}
    made = {"apiVersion": TEST_TRIGGER.api_version, "kind": TEST_TRIGGER.kind, "metadata": meta, "spec": spec}
    made = await world.kube.create(TEST_TRIGGER, made)
    named = {"kind": "TestTrigger", "name": trigger.name, "namespace": trigger.namespace}
    await world.kube.merge_patch(world.ref(), {"status": {"generatedResources": [named]}}, subresource="status")
    await _is_left(world, migrate, trigger)
    await world.kube.delete(trigger, uid=made["metadata"]["uid"])


async def _is_left(world: World, migrate, ref, *, said=True):
    before = await world.kube.get(ref)
    answer = await migrate()
    assert (f"  leave    {ref}: " in answer.out) == said
    assert answer.out.endswith("Nothing to do.\n")
    assert await world.kube.get(ref) == before
