"""TESTKUBE_NAMESPACE may change from one start of the service to the next: children follow, nothing stays behind."""

from __future__ import annotations

import asyncio

import pytest

from experiments.names import FINALIZER
from experiments.options import OWN_NAMESPACE, Options
from support.clusters import TEMPLATES
from support.world import World, new_namespace

NAMES = ("with-trigger", "without-trigger", "dataset")


@pytest.fixture
async def experiments(world: World):
    """Three of them, in a namespace that has the templates as well."""
    await world.cluster.kubectl("apply", "-n", world.namespace, "-f", str(TEMPLATES))
    return {
        "with-trigger": await world.create("with-trigger"),
        "without-trigger": await world.create("without-trigger", trigger=None),
        "dataset": await world.create("dataset", scenarios=None, dataset={"url": "https://data.example/weather.csv"}),
    }


@pytest.fixture
async def elsewhere(cluster, kube):
    name = await new_namespace(kube, "testkube")
    await cluster.kubectl("apply", "-n", name, "-f", str(TEMPLATES))
    return name


async def test_children_beside_each_experiment_go_with_it(world: World, serve, experiments):
    await _settled_in(world, serve, experiments, OWN_NAMESPACE)
    async with serve(world.options):
        await world.cluster.kubectl("delete", "exp", "with-trigger", "-n", world.namespace)
        await _is_gone(world, experiments["with-trigger"])


async def test_children_move_from_one_namespace_to_another(world: World, serve, experiments, elsewhere):
    await _settled_in(world, serve, experiments, "testkube")
    await _settled_in(world, serve, experiments, elsewhere)


async def test_children_move_from_a_namespace_to_beside_and_back(world: World, serve, experiments):
    await _settled_in(world, serve, experiments, "testkube")
    await _settled_in(world, serve, experiments, OWN_NAMESPACE)
    await _settled_in(world, serve, experiments, "testkube")


async def test_an_experiment_deleted_before_a_move_leaves_nothing(world: World, serve, experiments, elsewhere):
    await _settled_in(world, serve, experiments, "testkube")
    for name in NAMES:
        await world.cluster.kubectl("delete", "exp", name, "-n", world.namespace, "--wait=false")
    async with serve(Options(testkube_namespace=elsewhere)):
        await asyncio.gather(*(_is_gone(world, obj) for obj in experiments.values()))


async def _settled_in(world: World, serve, experiments, testkube_namespace):
    """Runs the service with this setting until it has nothing to do any more, and looks at what is there then."""
    world.options = Options(testkube_namespace=testkube_namespace)
    async with serve(world.options):
        await asyncio.gather(*(_is_placed(world, name, _uid(obj)) for name, obj in experiments.items()))


async def _is_placed(world: World, name, uid):
    config_map, workflow, trigger = world.places(name).children
    wanted = [config_map, workflow] if name == "without-trigger" else [config_map, workflow, trigger]

    async def found():
        experiment = await world.kube.get(world.ref(name))
        resources = [(r["kind"], r["namespace"], r["name"]) for r in experiment["status"]["generatedResources"]]
        return await world.children_of(uid), resources, experiment["metadata"].get("finalizers", [])

    told = wanted, [(ref.resource.kind, ref.namespace, ref.name) for ref in wanted], [FINALIZER]
    await world.reported(name)
    await world.until(found, lambda answer: answer == told)


async def _is_gone(world: World, obj):
    await world.until(lambda: world.get(world.ref(obj["metadata"]["name"])), lambda found: found is None)
    await world.until(lambda: world.children_of(_uid(obj)), lambda found: found == [])


def _uid(obj):
    return obj["metadata"]["uid"]
