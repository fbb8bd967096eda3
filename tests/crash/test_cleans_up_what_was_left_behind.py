"""Children whose Experiment went without its finalizer while the service was away are found and cleaned up, once."""

from __future__ import annotations

from support.world import World


async def test_a_finalizer_removed_by_hand_leaves_nothing_for_ever(world: World, serve):
    async with serve():
        await world.create()
        await world.create("other")
        await world.closed_runs(1)
        await world.closed_runs(1, "other")
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--wait=false")
    await world.kube.merge_patch(world.ref(), {"metadata": {"finalizers": None}})
    assert all(await world.children())
    async with serve():
        await world.until(world.children, lambda found: found == [None, None, None])
        run = (await world.closed_runs(2))[0]
        await world.closed_runs(1, "other")
    assert all(await world.children("other"))
    result = await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result()
    assert result["outcome"] == "CleanedUp"
    assert result["reasons"] == ["the Experiment is gone, and has left children behind"]
    assert [change.split()[:2] for change in result["changes"]] == [
        ["deleted", "TestTrigger"],
        ["deleted", "TestWorkflow"],
        ["deleted", "ConfigMap"],
    ]
