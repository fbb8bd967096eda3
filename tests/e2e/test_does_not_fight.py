"""Somebody who changes a child again and again is answered, but not each time; people's own changes never wait."""

from __future__ import annotations

from support.world import World

EDITS = 40
MOST = 10


async def test_repairs_are_few_and_say_that_they_are_many_and_an_edit_of_the_experiment_does_not_wait(world: World):
    await world.create()
    await world.reported()
    ref = world.places().test_trigger
    for i in range(EDITS):
        policy = ("allow", "replace")[i % 2]
        args = ("patch", "testtrigger", ref.name, "-n", ref.namespace, "--type=merge", "--field-manager=rival")
        await world.cluster.kubectl(*args, "-p", f'{{"spec":{{"concurrencyPolicy":"{policy}"}}}}')
    runs = await world.runs()
    assert 1 < len(runs) <= MOST
    await world.edit(llmAsAJudgeModel="gpt-4o")
    await world.reported()
    assert "concurrencyPolicy" not in (await world.kube.get(ref))["spec"]
    repairs = [why for why in await world.reasons() if why[0] == "TestTrigger edited by rival"]
    assert repairs
    events = [event for event in await world.events() if "TestTrigger" in event["message"]]
    assert len(events) <= MOST + 2
