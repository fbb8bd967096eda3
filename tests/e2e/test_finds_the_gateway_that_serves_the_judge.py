"""The judge's gateway is the one that the spec names, else the Agent's, else the first in `ai-gateway`."""

from __future__ import annotations

from contextlib import suppress

import pytest

from experiments.resources import AGENT, AI_GATEWAY
from kube.objects import ObjectRef
from localcluster.errors import KubectlError
from support.world import World


@pytest.fixture
async def shared(cluster, kube):
    """`await shared("b-gateway")`: a gateway in `ai-gateway`, which goes with the test."""
    with suppress(KubectlError):  # another test may have made it
        await cluster.kubectl("create", "namespace", "ai-gateway")
    made = []

    async def make(name):
        made.append(name)
        meta = {"name": name, "namespace": "ai-gateway"}
        models = [{"name": "gpt-4o", "provider": "openai"}]
        body = {"apiVersion": AI_GATEWAY.api_version, "kind": AI_GATEWAY.kind, "metadata": meta}
        await kube.create(AI_GATEWAY, {**body, "spec": {"port": 4000, "aiModels": models}})

    yield make
    for name in made:
        await cluster.kubectl("delete", "aigateway", name, "-n", "ai-gateway", "--ignore-not-found")


async def judge(world: World, name="demo"):
    """The URL that the evaluate template is passed."""
    return (await world.use(name))["evaluate"].get("openAiBasePath")


async def test_without_a_reference_the_first_of_ai_gateway_as_gateways_come_and_go(world: World, shared):
    await world.create()
    await world.reported()
    assert await judge(world) is None
    await shared("b-gateway")
    await world.until(lambda: judge(world), lambda url: url == "http://b-gateway.ai-gateway.svc.cluster.local:4000")
    await shared("a-gateway")
    await world.until(lambda: judge(world), lambda url: url == "http://a-gateway.ai-gateway.svc.cluster.local:4000")

    async def said():
        return (await world.status()).condition("WorkflowReady").message

    await world.until(said, lambda message: "AiGateway ai-gateway/a-gateway, the first in ai-gateway" in message)


async def test_the_one_that_the_agent_uses(world: World, shared):
    await shared("z-gateway")
    await world.gateway("judge")
    await world.agent(url="http://weather:8000/.well-known/agent-card.json")
    used = {"status": {"aiGatewayRef": {"name": "judge", "namespace": world.namespace}}}
    await world.kube.merge_patch(ObjectRef(AGENT, world.namespace, "weather"), used, subresource="status")
    await world.create()
    status = await world.reported()
    assert await judge(world) == f"http://judge.{world.namespace}.svc.cluster.local:4000"
    assert f"which Agent {world.namespace}/weather uses" in status.condition("WorkflowReady").message


async def test_a_reference_without_namespace_means_the_experiments_own_first(world: World, shared):
    await shared("judge")
    await world.create(aiGatewayRef={"name": "judge"})
    await world.reported()
    assert await judge(world) == "http://judge.ai-gateway.svc.cluster.local:4000"
    await world.gateway("judge")
    own = f"http://judge.{world.namespace}.svc.cluster.local:4000"
    await world.until(lambda: judge(world), lambda url: url == own)


async def test_forbid_on_a_deployment_that_others_wait_for_is_warned_of_as_they_come_and_go(world: World):
    await world.create("one", trigger={"enabled": True, "concurrencyPolicy": "Forbid"})
    await world.reported("one")
    await world.create("other")
    await world.reported("other")

    async def said():
        return (await world.status("one")).condition("TriggerReady")

    warned = await world.until(said, lambda condition: condition.reason == "AppliedWithWarnings")
    assert str(world.places("other").test_trigger) in warned.message
    await world.cluster.kubectl("delete", "exp", "other", "-n", world.namespace)
    await world.until(said, lambda condition: condition.reason == "Applied")
