"""Another Experiment may get the name of one whose run is still open: what is left of the old work does not touch it.

Elsewhere than beside Testkube this takes force, as people use it when a deletion seems to hang: the finalizer is taken
off by hand.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from experiments.contract import Target
from kube.errors import NotFoundError
from support.world import World


@dataclass(frozen=True)
class Cut:
    """At which call the old run is when its Experiment is replaced, and what it is about."""

    during: str
    call: str


CUTS = [
    Cut("creation", "patch {experiment}"),
    Cut("creation", "create {places.config_map}"),
    Cut("creation", "create {places.test_workflow}"),
    Cut("creation", "patch status of {experiment}"),
    Cut("edit", "apply {places.config_map}"),
    Cut("edit", "apply {places.test_workflow}"),
    Cut("edit", "patch status of {experiment}"),
    Cut("deletion", "delete {places.test_trigger}"),
    Cut("deletion", "delete {places.config_map}"),
    Cut("deletion", "patch {experiment}"),
]


async def test_what_an_interrupted_run_still_does(world: World, serve, holding):
    async with serve(client=holding):
        touched = await asyncio.gather(
            *(_replaced_during(world, holding, f"demo-{i}", cut) for i, cut in enumerate(CUTS))
        )
    assert dict(zip(CUTS, touched, strict=True)) == {cut: [] for cut in CUTS}


async def _replaced_during(world: World, holding, name, cut):
    """What of the new Experiment and its children is another than before the old run went on."""
    words = cut.call.format(experiment=world.ref(name), places=world.places(name))
    if cut.during == "creation":
        held = holding.hold(words)
    old = await world.create(name)
    if cut.during != "creation":
        await world.closed_runs(1, name)
        held = holding.hold(words)
    if cut.during == "edit":
        await world.edit(name, llmAsAJudgeModel="old", env=[{"name": "OLD", "value": "yes"}])
    if cut.during == "deletion":
        await world.kube.delete(world.ref(name), uid=old["metadata"]["uid"])
    await held.reached.wait()

    await _replace(world, name, old)
    await world.reported(name)
    before = await _everything(world, name)
    held.release()
    workflow = Target(world.namespace, name, old["metadata"]["uid"]).workflow_id
    await world.until(lambda: world.runs(name), lambda runs: all(r.close_time for r in runs if r.id == workflow))
    after = await _everything(world, name)
    return [str(ref) for ref in before if before[ref] != after[ref]]


async def _replace(world: World, name, old):
    with suppress(NotFoundError):
        await world.kube.delete(world.ref(name), uid=old["metadata"]["uid"])
        await world.kube.merge_patch(world.ref(name), {"metadata": {"finalizers": None}})
    await world.until(lambda: world.get(world.ref(name)), lambda found: found is None)
    await world.create(name, llmAsAJudgeModel="new")


async def _everything(world: World, name):
    refs = (world.ref(name), *world.places(name).children)
    return {ref: await world.get(ref) for ref in refs}


async def test_a_run_that_waits_finds_that_its_experiment_is_gone(world: World, serve):
    async with serve():
        old = await world.create(aiGatewayRef={"name": "judge", "namespace": world.namespace})
        await world.reported(reason="GatewayMissing")
        await _replace(world, "demo", old)
        await world.reported()
        before = await _everything(world, "demo")
        assert {run.status.name for run in await world.closed_runs(2)} == {"COMPLETED"}
        assert await _everything(world, "demo") == before
