"""A step that takes too long is cut off. What it had done is there once and told once, and what it knew is not used."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from temporalio.testing import ActivityEnvironment

from experiments.contract import ActionsRequest, SnapshotRequest, Target
from experiments.names import UID_LABEL
from experiments.options import Options
from support.world import World
from worker.activities import Activities


async def test_what_was_done_before_the_cut_is_in_the_event(world: World, serve, holding):
    async with serve():
        await world.create()
        await world.reported()
        await world.closed_runs(1)
    for child in world.places().children:
        await world.kube.merge_patch(child, {"metadata": {"labels": {UID_LABEL: None}}})
    held = holding.hold(f"patch {world.places().test_trigger}")
    async with serve(client=holding):
        await held.reached.wait()
        run, _ = await world.closed_runs(2)
    told = [f"changed {child} (metadata.labels[{UID_LABEL}])" for child in world.places().children]
    assert (await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result())["changes"] == told
    _, message = sorted(event["message"] for event in await world.events())
    assert message == f"{'; '.join(told)}."


async def test_a_look_that_was_cut_off_leaves_no_older_one_behind(world: World, kube, holding, caches):
    """Another worker looks in its place, and this one carries out what that has found."""
    created = await world.create()
    target = Target(world.namespace, "demo", created["metadata"]["uid"])
    here, there = (Activities(client, caches, Options()) for client in (holding, kube))
    step, look = ActivityEnvironment(), SnapshotRequest(target, {})
    await step.run(here.take_snapshot, look)
    await world.edit(llmAsAJudgeModel="gpt-4o")
    look = replace(look, certain=True)
    held = holding.hold(f"get {world.ref()}")
    cut = asyncio.create_task(ActivityEnvironment().run(here.take_snapshot, look))
    await held.reached.wait()
    cut.cancel()
    await asyncio.wait([cut])
    found = await ActivityEnvironment().run(there.take_snapshot, look)
    progress = await ActivityEnvironment().run(here.carry_out, ActionsRequest(target, found.actions))
    assert (progress.done, progress.failure) == (len(found.actions), None)
    assert (await world.experiment_json())["llm_as_a_judge_model"] == "gpt-4o"
