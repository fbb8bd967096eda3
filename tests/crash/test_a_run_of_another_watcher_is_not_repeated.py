"""While one watcher takes over from another, both see the same damage: the later one asks for no second repair."""

from __future__ import annotations

from experiments.contract import Target, Urgency, WakeSignal
from support.world import World
from temporal.client import starter


async def test_a_watcher_that_was_still_looking_repeats_no_run_of_another(world: World, serve, holding, task_queue):
    async with serve(watcher=False), serve(worker=False, client=holding):
        created = await world.create()
        await world.closed_runs(1)
        workflow, last_look = world.places().test_workflow, holding.hold(f"get {world.places().test_trigger}")
        await world.kube.delete(workflow, uid=(await world.kube.get(workflow))["metadata"]["uid"])
        await last_look.reached.wait()

        target = Target(world.namespace, "demo", created["metadata"]["uid"])
        await starter(world.temporal, task_queue)(target, WakeSignal(["seen by another"]), Urgency.CHANGED)
        await world.closed_runs(2)
        last_look.release()
        await world.edit(llmAsAJudgeModel="gpt-4o")
        await world.reported()
        await world.closed_runs(3)
        assert await world.reasons() == [["generation 1"], ["seen by another"], ["generation 2"]]
