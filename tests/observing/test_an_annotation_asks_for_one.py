"""The annotation execute-at asks for one execution, and for one only, whatever else happens."""

from __future__ import annotations

import pytest

from support.world import World

pytestmark = pytest.mark.usefixtures("work")


async def honoured(world: World, value: str) -> None:
    await world.until(world.status, lambda status: status.execute_at == value)


async def test_each_value_is_one_execution(world, watch, evaluations, testkube):
    async with watch():
        await world.create()
        await world.reported()
        for count, value in enumerate(["now", "again", 'Thu Nov 26 10:00:00 UTC 2026 "?"'], 1):
            await evaluations.ask_for_one(value)
            await honoured(world, value)
            assert len(testkube.executions) == count
        last = await evaluations.told(testkube.executions[-1])
        assert last.started_by == "Service"
        await world.kube.merge_patch(world.ref(), {"metadata": {"labels": {"any": "change"}}})
        await world.kube.merge_patch(world.ref(), {"spec": {"suspend": True}})
        await world.reported(reason="Suspended")
    async with watch():  # a new leader
        await evaluations.condition("ExecutionsObserved", "TestkubeAnswers")
    assert len(testkube.executions) == 3


async def test_one_asked_for_while_nobody_led_is_started(world, watch, evaluations, testkube):
    async with watch():
        await world.create()
        await world.reported()
    await evaluations.ask_for_one("now")
    async with watch():
        await honoured(world, "now")
    assert len(testkube.executions) == 1


async def test_it_waits_until_the_experiment_is_ready(world, watch, evaluations, testkube):
    async with watch():
        await world.create(aiGatewayRef={"name": "judge"})
        await evaluations.ask_for_one("now")
        await world.reported(reason="GatewayMissing")
        assert testkube.executions == []
        testkube.workflows.add(world.places().test_workflow.name)
        await world.gateway()
        await honoured(world, "now")
        assert len(testkube.executions) == 1


@pytest.mark.parametrize("spec", [{"suspend": True}])
async def test_one_that_cannot_be_is_refused_with_an_event(world, watch, evaluations, testkube, spec):
    async with watch():
        await world.create(**spec)
        await evaluations.ask_for_one("now")
        await honoured(world, "now")
        assert testkube.executions == []
        [event] = await world.until(lambda: refusals(world), bool)
        assert "Suspended" in event["message"]
        await world.kube.merge_patch(world.ref(), {"spec": {"suspend": False}})
        await world.reported()
    assert testkube.executions == []


async def refusals(world: World):
    return [event for event in await world.events() if event["reason"] == "ExecutionRefused"]
