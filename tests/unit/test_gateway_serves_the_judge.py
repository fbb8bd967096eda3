"""The judge's model is reached through an AiGateway: the one that the Experiment names, else the one that its Agent
uses, else the first of namespace ai-gateway. The condition says which it is, and why.
"""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import AI_GATEWAY, TEST_WORKFLOW
from support.memory import MemoryWorld

REFERENCE = {"name": "gateway"}


def base_path(made: Any) -> str | None:
    config = made.config()["evaluate-template"]
    assert config.get("openAiBasePath") == config.get("openApiBasePath")
    found: str | None = config.get("openAiBasePath")
    return found


def why(made: Any) -> str:
    """What the condition of the workflow says of the judge."""
    status, reason, message = made.condition("WorkflowReady")
    assert (status, reason) == ("True", "Applied")
    said: str = message.partition(" is as the Experiment says. ")[2]
    return said


def missing(made: Any) -> str:
    """What is said where the gateway that is meant does not exist."""
    status, reason, message = made.condition("WorkflowReady")
    assert (status, reason) == ("False", "GatewayMissing")
    assert made.condition("Ready") == (status, reason, message)
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}
    said: str = message
    return said


def used_by_agent(made: Any, **reference: str) -> None:
    made.agent(status={"url": "http://agent:8000", "aiGatewayRef": reference})


def test_the_gateway_of_the_experiments_own_namespace_comes_first(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef=REFERENCE)
    made.gateway("default")
    made.gateway("ai-gateway")
    assert base_path(made) == "http://gateway.default.svc.cluster.local:80"
    assert why(made) == "The judge is reached through AiGateway default/gateway, which spec.aiGatewayRef names."


def test_a_gateway_that_is_not_in_the_experiments_namespace_is_looked_for_in_ai_gateway(
    world: type[MemoryWorld],
) -> None:
    made = world(aiGatewayRef=REFERENCE)
    made.gateway("ai-gateway")
    assert base_path(made) == "http://gateway.ai-gateway.svc.cluster.local:80"
    assert why(made) == "The judge is reached through AiGateway ai-gateway/gateway, which spec.aiGatewayRef names."


def test_a_reference_with_a_namespace_is_looked_for_there_alone(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={**REFERENCE, "namespace": "shop"})
    made.gateway("default")
    made.gateway("ai-gateway")
    assert missing(made) == "AiGateway shop/gateway does not exist."
    made.gateway("shop", port=8080)
    assert base_path(made) == "http://gateway.shop.svc.cluster.local:8080"


def test_a_gateway_that_is_nowhere_is_missing_in_both_namespaces(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef=REFERENCE)
    made.gateway("testkube")
    assert missing(made) == "AiGateway default/gateway and AiGateway ai-gateway/gateway do not exist."


def test_in_namespace_ai_gateway_a_gateway_is_looked_for_once(world: type[MemoryWorld]) -> None:
    made = world(namespace="ai-gateway", aiGatewayRef=REFERENCE)
    assert missing(made) == "AiGateway ai-gateway/gateway does not exist."


def test_without_a_reference_it_is_the_gateway_that_the_agent_uses(world: type[MemoryWorld]) -> None:
    made = world()
    used_by_agent(made, name="gateway", namespace="shop")
    made.gateway("shop", port=4000)
    made.gateway("ai-gateway")
    assert base_path(made) == "http://gateway.shop.svc.cluster.local:4000"
    assert why(made) == "The judge is reached through AiGateway shop/gateway, which Agent default/agent uses."


def test_the_agents_gateway_is_in_the_agents_namespace_where_it_names_none(world: type[MemoryWorld]) -> None:
    made = world()
    used_by_agent(made, name="gateway")
    made.gateway("default")
    assert base_path(made) == "http://gateway.default.svc.cluster.local:80"


def test_a_missing_gateway_that_the_agent_uses_is_an_error(world: type[MemoryWorld]) -> None:
    made = world()
    used_by_agent(made, name="gateway", namespace="shop")
    made.gateway("ai-gateway")
    assert missing(made) == "AiGateway shop/gateway, which Agent default/agent uses, does not exist."


def test_the_experiments_own_reference_wins_over_the_agents(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef=REFERENCE)
    used_by_agent(made, name="other", namespace="shop")
    made.gateway("default")
    assert base_path(made) == "http://gateway.default.svc.cluster.local:80"


@pytest.mark.parametrize("reference", [None, {}, {"namespace": "shop"}, {"name": ""}])
def test_else_it_is_the_first_gateway_in_ai_gateway_by_name(
    world: type[MemoryWorld], reference: dict[str, str] | None
) -> None:
    made = world()
    made.agent(status={"url": "http://agent:8000", "aiGatewayRef": reference})
    for namespace, name in (("ai-gateway", "b"), ("ai-gateway", "a"), ("aa", "a"), ("default", "a")):
        made.put(AI_GATEWAY, name, namespace, spec={"port": 4000})
    assert base_path(made) == "http://a.ai-gateway.svc.cluster.local:4000"
    assert why(made) == "The judge is reached through AiGateway ai-gateway/a, the first in ai-gateway."


def test_without_any_gateway_the_templates_own_settings_hold(world: type[MemoryWorld]) -> None:
    made = world()
    made.gateway("shop")
    assert base_path(made) is None
    assert why(made) == "There is no AiGateway: the judge is where the evaluate template says."


def test_where_no_gateways_are_served_the_templates_own_settings_hold(world: type[MemoryWorld]) -> None:
    made = world()
    made.unserved = {AI_GATEWAY}
    assert base_path(made) is None


def test_a_gateway_that_comes_first_now_changes_the_workflow(world: type[MemoryWorld]) -> None:
    made = world()
    made.put(AI_GATEWAY, "b", "ai-gateway", spec={})
    made.settle()
    made.put(AI_GATEWAY, "a", "ai-gateway", spec={})
    (action,) = made.plan().actions
    assert "spec.use[1].config.openAiBasePath" in {each.path for each in action.differences}


@pytest.mark.parametrize(
    ("reference", "read"),
    [(None, {"a", "gateway"}), (REFERENCE, {"gateway"}), ({**REFERENCE, "namespace": "b"}, set())],
)
def test_a_snapshot_has_the_gateways_that_may_be_meant(
    world: type[MemoryWorld], reference: dict[str, str] | None, read: set[str]
) -> None:
    made = world(aiGatewayRef=reference)
    made.gateway()
    made.put(AI_GATEWAY, "a", "shop", spec={})
    assert {ref.name for ref in made.taken().objects if ref.resource == AI_GATEWAY} == read
