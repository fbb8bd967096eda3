"""TESTKUBE_NAMESPACE changes under the rights that `deploy/` gives: nothing stays behind, and nobody says so before."""

from __future__ import annotations

import pytest

from support.world import World

SINGLE, EVERYWHERE = "overlays/single", "components/all-namespaces"


@pytest.fixture
async def settled(installation):
    """An Experiment whose children are in namespace testkube; nobody looks after it any more."""
    async with installation(SINGLE) as world:
        await world.agent(url="http://weather.example:8000/.well-known/agent-card.json")
        await world.create()
        await world.reported()
    return world


async def test_what_may_not_be_looked_at_any_more_is_not_forgotten(settled, installation):
    world, old = settled, await settled.children()
    async with installation(SINGLE, testkube="evaluations"):
        status = await world.reported(reason="Forbidden")
        assert 'in the namespace "testkube"' in status.condition("Ready").message
        assert {r.namespace for r in status.generated_resources} == {"testkube", "evaluations"}
    assert [each["metadata"]["uid"] for each in await world.children()] == [each["metadata"]["uid"] for each in old]
    async with installation(SINGLE, EVERYWHERE, testkube="evaluations"):
        await _has_moved(world)


async def test_with_the_component_it_just_moves(settled, installation):
    async with installation(SINGLE, EVERYWHERE, testkube="evaluations"):
        await _has_moved(settled)


async def test_with_the_component_what_no_status_remembers_is_found(settled, installation):
    await settled.kube.merge_patch(settled.ref(), {"status": {"generatedResources": None}}, subresource="status")
    async with installation(SINGLE, EVERYWHERE, testkube="evaluations"):
        await _has_moved(settled)


async def _has_moved(world: World):
    uid = (await world.kube.get(world.ref()))["metadata"]["uid"]

    async def places():
        remembered = (await world.status()).generated_resources
        return {ref.namespace for ref in await world.children_of(uid)}, {each.namespace for each in remembered}

    await world.until(places, lambda found: found == ({"evaluations"}, {"evaluations"}))
    await world.reported()
