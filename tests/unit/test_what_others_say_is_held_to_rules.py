"""What comes from other objects is held to the rules of the field it stands for, and any shape of them is answered."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import AGENT, AI_GATEWAY, TEST_WORKFLOW
from kube.objects import CONFIG_MAP
from support.memory import MemoryWorld

URL = "must be an http:// or https:// URL, in which spaces, quotes, braces and non-ASCII letters are percent-encoded"
BAD_URLS = [
    "http://otel:4318\nHTTP_PROXY=http://elsewhere",
    "http://otel:4318\r\n",
    "http://otel\t:4318/x",
    "otel:4318",
    "http://",
    'http://otel/"',
    "http://otel/\x00",
    "http://otel/ä",
    "javascript:alert(1)",
]


def refused(made: Any, condition: str) -> str:
    """The message of a condition that is false for such a value; nothing is made of it."""
    status, reason, message = made.condition(condition)
    assert (status, reason) == ("False", "ValueRefused")
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}
    return str(message)


@pytest.mark.parametrize("url", [url for url in BAD_URLS if url.strip() == url])
def test_the_endpoint_in_otel_config(world: type[MemoryWorld], url: str) -> None:
    made = world()
    made.otel_config(url)
    what = "OTEL_EXPORTER_OTLP_ENDPOINT of ConfigMap default/otel-config"
    assert refused(made, "WorkflowReady") == f"{what}: {URL}: {url!r}"


def test_spaces_around_the_endpoint_are_left_out(world: type[MemoryWorld]) -> None:
    made = world()
    made.otel_config(" http://otel:4318\n")
    assert {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"} in (
        made.manifest(TEST_WORKFLOW)["spec"]["container"]["env"]
    )


@pytest.mark.parametrize("url", BAD_URLS)
def test_the_url_that_an_agent_reports(world: type[MemoryWorld], url: str) -> None:
    made = world()
    made.agent(status={"url": f"{url}/.well-known/agent-card.json"})
    assert refused(made, "AgentResolved").startswith(f"the URL of Agent default/agent: {URL}: ")


def test_a_url_that_is_longer_than_any(world: type[MemoryWorld]) -> None:
    made = world()
    made.agent(status={"url": f"http://agent/{'x' * 3000}"})
    message = refused(made, "AgentResolved")
    assert message.startswith(
        "the URL of Agent default/agent: String should have at most 2048 characters: 'http://agent/x"
    )
    assert len(message) < 250


@pytest.mark.parametrize("path", ["a2a", "/a b", "/\n", "/ä", ["a"], {"a": 1}])
def test_the_path_in_an_agents_spec(world: type[MemoryWorld], path: Any) -> None:
    made = world()
    made.agent(spec={"protocols": [{"type": "A2A", "path": path}]})
    assert refused(made, "AgentResolved").startswith(f"the URL of Agent default/agent: {URL}: ")


@pytest.mark.parametrize("port", [-1, 65536, 10**20, "80", "80/x", 80.5, True, [80]])
def test_ports(world: type[MemoryWorld], port: Any) -> None:
    made = world()
    made.agent(spec={"protocols": [{"type": "A2A", "port": port}]})
    assert refused(made, "AgentResolved").startswith("the port of A2A of Agent default/agent: ")
    made = world(aiGatewayRef={"name": "gateway", "namespace": "ai-gateway"})
    made.gateway(port=port)
    assert refused(made, "WorkflowReady").startswith("spec.port of AiGateway ai-gateway/gateway: ")


@pytest.mark.parametrize("named", [{"name": "a/b"}, {"name": ["a"]}, {"name": "a", "namespace": "a\nb"}, {"name": 1}])
def test_the_gateway_that_an_agent_names(world: type[MemoryWorld], named: Any) -> None:
    made = world()
    made.agent(status={"aiGatewayRef": named, "url": "http://agent"})
    assert refused(made, "WorkflowReady").startswith("status.aiGatewayRef of Agent default/agent: ")


@pytest.mark.parametrize("shape", [None, 1, "text", [], [1], {}, {"url": 5}, {"url": {"a": 1}}, {"protocols": "A2A"}])
def test_other_shapes_are_answered(world: type[MemoryWorld], shape: Any) -> None:
    """The service knows these kinds only by their users: another version of a CRD may have another shape."""
    made = world()
    made.put(AGENT, "agent", status=shape, spec=shape)
    made.put(AI_GATEWAY, "gateway", "ai-gateway", status=shape, spec=shape)
    made.put(CONFIG_MAP, "otel-config", data=shape)
    for name in ("setup-template", "evaluate-template"):
        made.objects[made.template(name)]["spec"] = {"config": shape}
    assert made.condition("Ready")[1] in {"Reconciled", "ValueRefused", "AgentWithoutA2A"}
