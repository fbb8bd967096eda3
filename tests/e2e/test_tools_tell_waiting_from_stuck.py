"""Flux, Argo CD and Helm tell by kstatus' conditions whether waiting helps, and take no new object for current."""

from __future__ import annotations

from experiments.resources import EXPERIMENT
from support.world import World


def conditions(status):
    return {condition.type: condition.reason for condition in status.conditions}


async def test_an_object_at_which_nobody_has_looked_is_not_current(world: World):
    held = world.experiment("held", suspend=True)
    created = await world.kube.create(EXPERIMENT, held)
    assert created["status"] == {"observedGeneration": -1}


async def test_what_waits_is_reconciling_and_what_needs_a_person_is_stalled(world: World):
    await world.create(aiGatewayRef={"name": "judge", "namespace": world.namespace})
    found = conditions(await world.reported(reason="GatewayMissing"))
    assert (found.get("Reconciling"), found.get("Stalled")) == ("GatewayMissing", None)
    await world.edit(schedule={"cron": "0 0 30 2 *"})
    found = conditions(await world.reported(reason="InvalidSchedule"))
    assert (found.get("Reconciling"), found.get("Stalled")) == (None, "InvalidSchedule")
    await world.edit(schedule=None, aiGatewayRef=None)
    found = conditions(await world.reported())
    assert not {"Reconciling", "Stalled"} & found.keys()
