"""`kubectl delete --cascade=orphan` keeps the children, as objects of nobody's in particular."""

from __future__ import annotations

from support.world import World


async def test_orphans_stay_without_the_marks_of_this_service(world: World):
    await world.create()
    await world.reported()
    before = await world.children()
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--cascade=orphan", "--timeout=20s")
    after = await world.children()
    assert [child["metadata"]["uid"] for child in after] == [child["metadata"]["uid"] for child in before]
    for child in after:
        meta = child["metadata"]
        assert "labels" not in meta
        assert "annotations" not in meta
        assert "ownerReferences" not in meta
    for ref in world.places().children:
        await world.cluster.kubectl("delete", ref.resource.kind, ref.name, "-n", ref.namespace)


async def test_orphans_stay_beside_the_experiment_too(testkube_world):
    world = testkube_world
    await world.create(world.name)
    await world.reported(world.name)
    args = ("delete", "exp", world.name, "-n", "testkube", "--cascade=orphan", "--timeout=20s")
    await world.cluster.kubectl(*args)
    children = await world.children(world.name)
    assert all(child and "ownerReferences" not in child["metadata"] for child in children)
    assert not [child for child in children if "labels" in child["metadata"]]
    for ref in world.places(world.name).children:
        await world.cluster.kubectl("delete", ref.resource.kind, ref.name, "-n", ref.namespace)
