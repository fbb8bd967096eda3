"""The API server may go away in the middle of a run: the run stays open and ends well, nothing is there twice."""

from __future__ import annotations

import asyncio

from experiments.contract import Target
from support.world import World


async def test_runs_go_on_where_they_were_cut_off_and_what_comes_after_is_seen(world: World, serve, holding):
    cuts = {
        "at-snapshot": f"get {world.ref('at-snapshot')}",
        "at-finalizer": f"patch {world.ref('at-finalizer')}",
        "at-child": f"create {world.places('at-child').test_workflow}",
        "at-status": f"patch status of {world.ref('at-status')}",
    }
    async with serve(client=holding):
        await world.create("settled")
        await world.closed_runs(1, "settled")
        held = [holding.hold(call) for call in cuts.values()]
        uids = {name: (await world.create(name))["metadata"]["uid"] for name in cuts}
        await asyncio.gather(*(call.reached.wait() for call in held))
        await world.cluster.stop_apiserver()
        for call in held:
            call.release()
        try:
            await asyncio.gather(*(_is_repeating(world, name, uid) for name, uid in uids.items()))
        finally:
            await world.cluster.start_apiserver()
        await world.create("new")
        await world.edit("settled", llmAsAJudgeModel="gpt-4o")
        await asyncio.gather(*(world.reported(name) for name in (*cuts, "settled", "new")))
        await asyncio.gather(world.closed_runs(2, "settled"), *(world.closed_runs(1, name) for name in (*cuts, "new")))

    for name, uid in uids.items():
        assert await world.children_of(uid) == list(world.places(name).children)
        assert len(await world.events(name)) == 1


async def _is_repeating(world: World, name, uid):
    """Waits until Temporal shows that the step has failed and will be tried again."""
    handle = world.temporal.get_workflow_handle(Target(world.namespace, name, uid).workflow_id)

    async def failures():
        steps = (await handle.describe()).raw_description.pending_activities
        return [step.last_failure.message for step in steps if step.HasField("last_failure")]

    await world.until(failures)
