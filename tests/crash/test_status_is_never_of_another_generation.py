"""A status is only written for the generation that was applied: an edit just before makes the run look again."""

from __future__ import annotations

import asyncio

from experiments.resources import EXPERIMENT
from kube.objects import Source
from support.world import World

EDITS = 30
NEVER = -1  # what the CRD says by default


async def test_an_edit_between_apply_and_status_is_never_taken_for_done(world: World, serve, holding):
    words = f"patch status of {world.ref()}"
    async with serve(client=holding):
        held = holding.hold(words)
        created = await world.create(llmAsAJudgeModel="model-1")
        writes = asyncio.create_task(_status_writes(world, created, last=4))
        for generation in (1, 2, 3):
            await held.reached.wait()
            assert (await world.experiment_json())["llm_as_a_judge_model"] == f"model-{generation}"
            await world.edit(llmAsAJudgeModel=f"model-{generation + 1}")
            last, held = held, holding.hold(words)
            last.release()
        await held.reached.wait()
        held.release()
        assert await writes == [(4, 4)], "one that was overtaken must not be written"
        assert (await world.experiment_json())["llm_as_a_judge_model"] == "model-4"


async def test_no_status_is_overtaken_while_edits_come_as_fast_as_they_can(world: World, serve):
    async with serve():
        created = await world.create(llmAsAJudgeModel="model-1")
        writes = asyncio.create_task(_status_writes(world, created, last=EDITS))
        for generation in range(2, EDITS + 1):
            await world.edit(llmAsAJudgeModel=f"model-{generation}")
        assert all(generation == observed for generation, observed in await writes)
        assert (await world.experiment_json())["llm_as_a_judge_model"] == f"model-{EDITS}"


async def _status_writes(world: World, created, *, last):
    """The Experiment's generation and that of its status, each time the status changes, until it is the `last` one."""
    version, status, writes = created["metadata"]["resourceVersion"], None, []
    source = Source(EXPERIMENT, namespace=world.namespace)
    async with world.kube.watch(source, version, idle_seconds=60, server_seconds=120) as events:
        async for event in events:
            obj = event["object"]
            if obj.get("status", status) == status:
                continue
            status = obj["status"]
            if status["observedGeneration"] == NEVER:
                continue
            writes.append((obj["metadata"]["generation"], status["observedGeneration"]))
            if status["observedGeneration"] == last:
                break
    return writes
