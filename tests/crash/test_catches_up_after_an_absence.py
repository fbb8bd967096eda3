"""Whatever changes while no watcher is there is found by the next one, once, and for the right reason."""

from __future__ import annotations

import asyncio

from support.world import World

NAMES = ("edited", "robbed", "tampered", "followed", "deleted", "untouched")


async def test_changes_of_every_kind_are_caught_up(world: World, serve):
    async with serve(watcher=False):
        async with serve(worker=False):
            await asyncio.gather(*(world.create(name, agentRef={"name": f"agent-of-{name}"}) for name in NAMES))
            await asyncio.gather(*(world.closed_runs(1, name) for name in NAMES))
        await _change_everything(world)
        async with serve(worker=False):
            await asyncio.gather(*(world.closed_runs(2, name) for name in NAMES if name != "untouched"))

    assert (await world.experiment_json("edited"))["llm_as_a_judge_model"] == "gpt-4o"
    assert all(await world.children("robbed"))
    assert (await world.experiment_json("tampered"))["scenarios"]
    assert (await world.use("followed"))["run"]["agentUrl"] == "http://weather.svc:8000"
    assert await world.children("deleted") == [None, None, None]
    assert {name: (await world.reasons(name))[1:] for name in NAMES} == {
        "edited": [["generation 2"]],
        "robbed": [["TestWorkflow deleted"]],
        "tampered": [["ConfigMap edited by kubectl-edit"]],
        "followed": [["agent URL changed"]],
        "deleted": [["deleted"]],
        "untouched": [],
    }


async def _change_everything(world: World):
    await world.edit("edited", llmAsAJudgeModel="gpt-4o")
    robbed, tampered = world.places("robbed").test_workflow, world.places("tampered").config_map
    await world.kube.delete(robbed, uid=(await world.kube.get(robbed))["metadata"]["uid"])
    patch = ("--type=merge", "-p", '{"data":{"experiment.json":"{}"}}', "--field-manager=kubectl-edit")
    await world.cluster.kubectl("patch", "configmap", tampered.name, "-n", tampered.namespace, *patch)
    await world.agent("agent-of-followed", url="http://weather.svc:8000/.well-known/agent-card.json")
    await world.cluster.kubectl("delete", "exp", "deleted", "-n", world.namespace, "--wait=false")
