"""The judge's model is reached by the AiGateway that an Experiment names."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import AI_GATEWAY, TEST_WORKFLOW

REFERENCE = {"name": "gateway"}


def base_path(made: Any) -> str | None:
    config = made.config()["evaluate-template"]
    assert config.get("openAiBasePath") == config.get("openApiBasePath")
    found: str | None = config.get("openAiBasePath")
    return found


def test_by_default_on_port_80_in_its_own_namespace(world: Any) -> None:
    made = world(aiGatewayRef=REFERENCE)
    made.gateway()
    assert base_path(made) == "http://gateway.ai-gateway.svc.cluster.local:80"


def test_port_and_namespace_are_heeded(world: Any) -> None:
    made = world(aiGatewayRef={**REFERENCE, "namespace": "shop"})
    made.gateway("shop", port=8080)
    assert base_path(made) == "http://gateway.shop.svc.cluster.local:8080"


@pytest.mark.parametrize("namespace", ["default", "testkube"])
def test_a_missing_one_that_is_referenced_is_an_error(world: Any, namespace: str) -> None:
    made = world(aiGatewayRef=REFERENCE)
    made.put(AI_GATEWAY, "gateway", namespace)
    expected = ("False", "GatewayMissing", "AiGateway ai-gateway/gateway does not exist.")
    assert made.condition("WorkflowReady") == expected
    assert made.condition("Ready") == expected
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}


def test_without_a_reference_the_templates_own_settings_hold(world: Any) -> None:
    made = world()
    made.gateway()
    assert base_path(made) is None
