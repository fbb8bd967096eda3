"""What the Go operator made becomes this service's: there is always something to run, and in the end nothing twice."""

from __future__ import annotations

import pytest

from experiments.names import FINALIZER
from experiments.options import OWN_NAMESPACE, Options
from experiments.resources import TEST_WORKFLOW
from kube.objects import CONFIG_MAP
from support.world import World

SCENARIOS = {}
INLINE_DATASET = {
    "scenarios": None,
    "dataset": {"inline": {"scenarios": [{"name": "greeting", "steps": [{"input": "Hello?"}]}]}},
}


@pytest.mark.parametrize(("where", "spec"), [(OWN_NAMESPACE, SCENARIOS), ("the Experiment's", INLINE_DATASET)])
async def test_beside_the_experiment_all_is_changed_in_place(
    world: World, go_operator, migrate, serve, diary, where, spec
):
    namespace = where if where == OWN_NAMESPACE else world.namespace
    world.options = Options(testkube_namespace=namespace)
    old = await go_operator.make_beside(await world.create(**spec))
    before = [await world.kube.get(ref) for ref in old]

    said = await migrate(dry_run=True, testkube_namespace=namespace)
    assert said.out.count("  adopt ") == 3
    assert [await world.kube.get(ref) for ref in old] == before

    async with diary() as kept:
        assert (await migrate(testkube_namespace=namespace)).code == 0
        async with serve(world.options):
            await world.reported()
    assert not set(old) & set(kept.deleted())
    assert [obj["metadata"]["uid"] for obj in await world.children()] == [obj["metadata"]["uid"] for obj in before]
    assert (await migrate(testkube_namespace=namespace)).out == "Nothing to do.\n"


@pytest.mark.parametrize(("generation", "spec"), [("make_beside", SCENARIOS), ("make_in_testkube", INLINE_DATASET)])
async def test_elsewhere_the_old_go_once_the_new_are_there(
    world: World, go_operator, migrate, serve, diary, generation, spec
):
    experiment = await world.create(**spec)
    old = await getattr(go_operator, generation)(experiment)
    said = await migrate(dry_run=True)
    assert said.out.count("  replace ") == 3

    async with diary() as kept:
        await migrate()
        assert all([await world.get(ref) for ref in old])
        async with serve(Options(watches_all=True)):
            await world.reported()
            await world.until(lambda: _left(world, old), lambda left: left == [])
    for kind in (CONFIG_MAP, TEST_WORKFLOW):
        assert kept.fewest(kind, old, f"{world.namespace}/demo") >= 1
    assert sorted(await world.children_of(experiment["metadata"]["uid"]), key=str) == sorted(
        world.places().children, key=str
    )
    assert FINALIZER in (await world.kube.get(world.ref()))["metadata"]["finalizers"]
    assert (await migrate()).out == "Nothing to do.\n"


async def test_a_takeover_is_without_a_gap_while_the_service_runs_already(
    world: World, go_operator, migrate, serve, diary
):
    experiment = await world.create()
    old = await go_operator.make_in_testkube(experiment)
    async with diary() as kept, serve(Options(watches_all=True)):
        await world.reported()
        assert await _left(world, old) == old
        await migrate()
        await world.until(lambda: _left(world, old), lambda left: left == [])
    assert kept.fewest(TEST_WORKFLOW, old, f"{world.namespace}/demo") >= 1
    assert (await migrate()).out == "Nothing to do.\n"


async def test_what_the_status_names_goes_even_without_the_command(world: World, go_operator, serve):
    old = await go_operator.make_beside(await world.create())
    async with serve(Options()):
        await world.reported()
        assert await _left(world, old) == []


async def test_a_trigger_that_nobody_wants_any_more_goes(world: World, go_operator, migrate, serve):
    world.options = Options(testkube_namespace=OWN_NAMESPACE)
    await go_operator.make_beside(await world.create())
    await world.edit(trigger=None)
    assert (await migrate(testkube_namespace=OWN_NAMESPACE)).out.count("  delete ") == 1
    async with serve(world.options):
        await world.reported()
        await world.until(world.children, lambda found: found[2] is None)


async def test_fields_that_only_the_go_operator_wanted_go(world: World, go_operator, migrate, serve):
    world.options = Options(testkube_namespace=OWN_NAMESPACE)
    await go_operator.make_beside(await world.create())
    await migrate(testkube_namespace=OWN_NAMESPACE)
    async with serve(world.options):
        await world.reported()
        assert "concurrencyPolicy" not in (await world.kube.get(world.places().test_trigger))["spec"]
        await world.edit(scenarios=None, dataset={"url": "https://data.example/weather.csv"})
        await world.reported()
        assert "content" not in (await world.kube.get(world.places().test_workflow))["spec"]


async def test_fields_go_also_where_the_service_came_first(world: World, go_operator, migrate, serve):
    world.options = Options(testkube_namespace=OWN_NAMESPACE)
    await go_operator.make_beside(await world.create())
    async with serve(world.options):
        await world.reported()
        await migrate(testkube_namespace=OWN_NAMESPACE)
        await world.until(
            lambda: world.kube.get(world.places().test_trigger), lambda found: "concurrencyPolicy" not in found["spec"]
        )
        await world.reported()
    assert (await migrate(testkube_namespace=OWN_NAMESPACE)).out == "Nothing to do.\n"


async def test_a_killed_takeover_is_finished_by_the_next(world: World, go_operator, migrate, killed_migration, serve):
    names = [f"demo-{number}" for number in range(5)]
    old = [ref for name in names for ref in await go_operator.make_beside(await world.create(name))]
    await killed_migration()
    assert (await migrate()).code == 0
    async with serve(Options(watches_all=True)):
        await world.until(lambda: _left(world, old), lambda left: left == [])
        for name in names:
            await world.reported(name)
            assert all(await world.children(name))
    assert (await migrate()).out == "Nothing to do.\n"


async def test_what_is_not_done_yet_is_said(world: World, go_operator, migrate):
    await go_operator.make_beside(await world.create("waits"))
    await go_operator.make_beside(await world.create("suspended", suspend=True))
    await migrate()
    said = (await migrate()).out
    assert said.count("  wait ") == 6
    assert f"Experiment {world.namespace}/suspended\n  not before spec.suspend is false" in said
    assert said.endswith("The service is not done yet.\n")


async def _left(world: World, refs):
    return [ref for ref in refs if await world.get(ref)]
