"""An object that this service did not create is never touched, whatever its name."""

from __future__ import annotations

import pytest

from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP
from support.world import World

FOREIGN = {
    CONFIG_MAP: {"data": {"mine": "yes"}},
    TEST_WORKFLOW: {"spec": {"use": [{"name": "mine"}]}},
    TEST_TRIGGER: {
        "spec": {
            "resource": "deployment",
            "resourceSelector": {"name": "mine", "namespace": "mine"},
            "event": "created",
            "action": "run",
            "execution": "testworkflow",
            "testSelector": {"name": "mine"},
        }
    },
}


@pytest.mark.parametrize("resource", FOREIGN, ids=str)
async def test_a_taken_name_is_a_conflict_that_ends_with_the_other_object(world: World, resource):
    ref = next(ref for ref in world.places().children if ref.resource == resource)
    meta = {"name": ref.name, "namespace": ref.namespace}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta, **FOREIGN[resource]}
    foreign = await world.kube.create(resource, body)

    await world.create()
    status = await world.reported(reason="NameConflict")
    assert str(ref) in status.condition("Ready").message
    assert await world.kube.get(ref) == foreign, "it was touched"
    assert (await world.runs())[0].close_time is None, "the run waits: somebody may remove what is in the way"

    await world.cluster.kubectl("delete", resource.kind, ref.name, "-n", ref.namespace)
    await world.reported()
    assert (await world.kube.get(ref))["metadata"]["uid"] != foreign["metadata"]["uid"]


async def test_deleting_the_experiment_leaves_the_foreign_object(world: World):
    ref = world.places().config_map
    meta = {"name": ref.name, "namespace": ref.namespace}
    foreign = await world.kube.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    await world.create()
    await world.reported(reason="NameConflict")
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=20s")
    assert await world.kube.get(ref) == foreign
    await world.cluster.kubectl("delete", "configmap", ref.name, "-n", ref.namespace)
