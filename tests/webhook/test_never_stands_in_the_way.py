"""A person can always delete and repair, and the service can always clean up, whatever the webhook thinks of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from experiments.names import FINALIZER
from kube.objects import Object
from support.world import World

GONE = {"metadata": {"finalizers": None}}
HELD = {"metadata": {"finalizers": [FINALIZER]}}


@pytest.fixture
async def bad(apply: Any, sound: Any, webhook: Any) -> Object:
    """An Experiment with two problems, from a time before the webhook."""
    experiment: Object = sound(agentRef={"name": "nobody"}, aiGatewayRef={"name": "none"})
    with webhook.away():
        assert (await apply(experiment)).code == 0
    return experiment


@pytest.fixture
def unasked(webhook: Any) -> Iterator[None]:
    """Whatever the test does, the API server does not ask the webhook about it. It creates nothing."""
    webhook.asked.clear()
    yield
    assert set(webhook.asked) <= {"CREATE"}  # by which `bad` was made: on a busy machine, heard of only now


async def test_what_was_wrong_before_passes_with_a_warning(apply: Any, bad: Object, world: World) -> None:
    bad["spec"]["llmAsAJudgeModel"] = "another"
    said = await apply(bad)
    assert said.code == 0
    assert said.warnings == [
        f"spec.aiGatewayRef: AiGateway {world.namespace}/none and AiGateway ai-gateway/none do not exist.",
        f"spec.agentRef: Agent {world.namespace}/nobody does not exist.",
    ]


async def test_one_of_two_problems_can_be_mended(apply: Any, bad: Object, world: World) -> None:
    bad["spec"]["agentRef"]["name"] = "weather"
    said = await apply(bad)
    missing = f"AiGateway {world.namespace}/none and AiGateway ai-gateway/none do not exist."
    assert (said.code, said.warnings) == (0, [f"spec.aiGatewayRef: {missing}"])


async def test_what_is_newly_wrong_is_refused(apply: Any, bad: Object, world: World) -> None:
    bad["spec"]["agentRef"]["name"] = "nobody-else"
    said = await apply(bad)
    assert said.code == 1
    assert said.refusal.endswith(f"spec.agentRef: Agent {world.namespace}/nobody-else does not exist.")


async def test_what_is_too_large_can_be_edited(apply: Any, sound: Any, webhook: Any) -> None:
    """Its size is in the sentence, and changes with every edit."""
    experiment = sound(scenarios=[{"name": f"s{number}", "steps": [{"input": "x" * 65536}]} for number in range(17)])
    with webhook.away():
        assert (await apply(experiment, "--server-side")).code == 0
    experiment["spec"]["llmAsAJudgeModel"] = "another"
    assert (await apply(experiment, "--server-side")).code == 0


@pytest.mark.usefixtures("bad", "unasked")
async def test_metadata_can_be_edited(kubectl: Any, world: World) -> None:
    for verb in ("label", "annotate"):
        assert (await kubectl(verb, "exp", "demo", "-n", world.namespace, "mended=no")).code == 0


@pytest.mark.usefixtures("bad", "unasked")
async def test_the_service_can_do_its_work(world: World, kube: Any) -> None:
    await kube.merge_patch(world.ref(), HELD)
    await kube.merge_patch(world.ref(), {"status": {"observedGeneration": 1}}, subresource="status")
    await kube.merge_patch(world.ref(), GONE)


@pytest.mark.usefixtures("bad", "unasked")
async def test_it_can_be_deleted(kubectl: Any, world: World) -> None:
    assert (await kubectl("delete", "exp", "demo", "-n", world.namespace)).code == 0


@pytest.mark.usefixtures("bad", "unasked")
async def test_while_it_is_being_deleted_anything_goes(world: World, kube: Any) -> None:
    live = await kube.merge_patch(world.ref(), HELD)
    await kube.delete(world.ref(), uid=live["metadata"]["uid"])
    await world.edit(agentRef={"name": "nobody-else"})
    await kube.merge_patch(world.ref(), GONE)
    assert await world.get(world.ref()) is None


async def test_a_webhook_that_is_away_stops_nobody(apply: Any, sound: Any, webhook: Any) -> None:
    with webhook.away():
        assert (await apply(sound(agentRef={"name": "nobody"}))).code == 0


# Somebody may have edited the configuration, and API servers before 1.28 know no conditions in it.
@pytest.mark.parametrize(
    "asked",
    [{"operation": "DELETE", "object": None}, {"operation": "CONNECT", "object": None}, {"subResource": "status"}],
    ids=str,
)
async def test_it_agrees_where_it_is_asked_all_the_same(ask: Any, question: Any, sound: Any, asked: Object) -> None:
    review = question(sound(agentRef={"name": "nobody"}), sound())
    review["request"] |= asked
    assert (await ask(review)).json()["response"] == {"uid": "a1b2", "allowed": True}


async def test_it_agrees_to_what_leaves_the_spec_as_it_was(ask: Any, question: Any, sound: Any) -> None:
    old, new = sound(agentRef={"name": "nobody"}), sound(agentRef={"name": "nobody"})
    new["metadata"]["labels"] = {"a": "b"}
    assert (await ask(question(new, old))).json()["response"] == {"uid": "a1b2", "allowed": True}


async def test_it_agrees_to_what_is_being_deleted(ask: Any, question: Any, sound: Any) -> None:
    new = sound(agentRef={"name": "nobody"})
    new["metadata"]["deletionTimestamp"] = "2026-11-24T00:00:00Z"
    assert (await ask(question(new, sound()))).json()["response"] == {"uid": "a1b2", "allowed": True}
