"""A copy of a child is the user's, although all marks come along in it; it is left alone, for ever."""

from __future__ import annotations

import json

import pytest

from kube.objects import ObjectRef
from support.world import World


@pytest.fixture
async def copied(world: World):
    """Copies of all children, renamed as a person would, and their references."""
    await world.create()
    await world.reported()
    refs = []
    for ref in world.places().children:
        live = await world.kube.get(ref)
        name = f"copy-{ref.name}"[:250]
        copy = {**live, "metadata": {**live["metadata"], "name": name}}
        for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"):
            copy["metadata"].pop(field, None)
        await world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(copy))
        refs.append(ObjectRef(ref.resource, ref.namespace, name))
    yield refs
    for ref in refs:
        await world.cluster.kubectl("delete", ref.resource.kind, ref.name, "-n", ref.namespace, "--ignore-not-found")


async def test_through_a_reconciliation_and_the_deletion_of_the_experiment(world: World, copied):
    copies = [await world.kube.get(ref) for ref in copied]
    await world.edit(llmAsAJudgeModel="gpt-4o")
    status = await world.reported()
    assert {r.name for r in status.generated_resources} == {ref.name for ref in world.places().children}
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=20s")
    assert await world.children() == [None, None, None]
    assert [await world.kube.get(ref) for ref in copied] == copies
    assert [run.close_time is not None for run in await world.closed_runs(3)] == [True, True, True]


async def test_in_the_experiments_own_namespace_too(world: World):
    await world.create()
    await world.reported()
    live = await world.kube.get(world.places().config_map)
    copy = {**live, "metadata": {**live["metadata"], "name": "mine", "namespace": world.namespace}}
    for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
        copy["metadata"].pop(field, None)
    await world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(copy))
    ref = ObjectRef(world.places().config_map.resource, world.namespace, "mine")
    kept = await world.kube.get(ref)
    await world.edit(llmAsAJudgeModel="gpt-4o")
    await world.reported()
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=20s")
    assert await world.kube.get(ref) == kept
