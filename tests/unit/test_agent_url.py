"""Where the agent is reached, from what is known of it: its status, else its spec, else its Service's name."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import AGENT, TEST_WORKFLOW
from support.memory import MemoryWorld

SERVICE = "http://agent.default.svc.cluster.local"
CARD = "/.well-known/agent-card.json"


def resolved(made: Any) -> tuple[str, str, str]:
    """The URL that is passed, and status and reason of the condition."""
    status, reason, _ = made.condition("AgentResolved")
    return made.plan().inputs.agent_url, status, reason


@pytest.mark.parametrize(
    ("card", "url"),
    [
        (f"{SERVICE}:8000{CARD}", f"{SERVICE}:8000"),
        (f"{SERVICE}:9090/api/v1{CARD}", f"{SERVICE}:9090/api/v1"),
        (f"https://agents.example/weather/{CARD}", "https://agents.example/weather"),
        ("https://agents.example/weather", "https://agents.example/weather"),
    ],
)
def test_what_the_agent_reports_without_the_card(world: type[MemoryWorld], card: str, url: str) -> None:
    made = world()
    made.agent(spec={"protocols": [{"type": "A2A", "port": 1}]}, status={"url": card})
    assert resolved(made) == (url, "True", "AgentReady")
    assert made.condition("AgentResolved")[2] == f"Agent default/agent answers at {url}."


@pytest.mark.parametrize(
    ("protocols", "url"),
    [
        ([{"type": "A2A"}], f"{SERVICE}:8000"),
        ([{"type": "A2A", "port": 9090}], f"{SERVICE}:9090"),
        ([{"type": "A2A", "port": 9090, "path": "/"}], f"{SERVICE}:9090"),
        ([{"type": "A2A", "path": "/api/v1"}], f"{SERVICE}:8000/api/v1"),
        ([{"type": "MCP", "port": 1}, {"type": "A2A", "port": 2}, {"type": "A2A", "port": 3}], f"{SERVICE}:2"),
    ],
)
@pytest.mark.parametrize("status", [{}, {"status": {}}, {"status": {"url": ""}}])
def test_an_agent_without_a_url_is_called_where_its_spec_says(
    world: type[MemoryWorld], protocols: list[dict[str, Any]], url: str, status: dict[str, Any]
) -> None:
    made = world()
    made.agent(spec={"protocols": protocols}, **status)
    assert resolved(made) == (url, "True", "AgentSpec")


def test_an_agent_that_says_nothing_yet_is_reached_by_its_service(world: type[MemoryWorld]) -> None:
    made = world()
    made.agent(spec={})
    assert resolved(made) == (f"{SERVICE}:8000", "False", "AgentNotReady")


def test_a_missing_agent_blocks_nothing(world: type[MemoryWorld]) -> None:
    made = world()
    assert resolved(made) == (f"{SERVICE}:8000", "False", "AgentNotFound")
    assert made.condition("Ready")[0] == "True"
    assert made.manifest(TEST_WORKFLOW)


def test_nor_does_a_missing_agent_runtime(world: type[MemoryWorld]) -> None:
    made = world()
    made.unserved.add(AGENT)
    assert resolved(made) == (f"{SERVICE}:8000", "False", "AgentRuntimeMissing")
    assert made.condition("Ready")[0] == "True"


def test_the_agent_is_in_the_experiments_namespace_unless_it_says_so(world: type[MemoryWorld]) -> None:
    made = world(agentRef={"name": "agent", "namespace": "agents"})
    made.agent(status={"url": "http://wrong:8000"})
    assert resolved(made) == ("http://agent.agents.svc.cluster.local:8000", "False", "AgentNotFound")
    made.put(AGENT, "agent", "agents", status={"url": "http://right:8000"})
    assert resolved(made) == ("http://right:8000", "True", "AgentReady")


def test_an_agent_without_a2a_cannot_be_evaluated(world: type[MemoryWorld]) -> None:
    made = world()
    made.agent(spec={"protocols": [{"type": "OpenAI"}, {"type": "MCP"}]})
    message = "Agent default/agent speaks MCP, OpenAI; an evaluation needs A2A."
    assert made.condition("AgentResolved") == ("False", "AgentWithoutA2A", message)
    assert made.condition("Ready") == ("False", "AgentWithoutA2A", message)
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}


def ready_once(world: type[MemoryWorld], *, port: int = 9090) -> Any:
    made = world()
    made.agent(spec={"protocols": [{"type": "A2A"}]}, status={"url": f"{SERVICE}:{port}/a{CARD}"})
    made.settle()
    assert made.status["agentUrl"] == f"{SERVICE}:{port}/a"
    return made


def test_the_last_good_url_is_kept_while_the_agent_is_not_ready(world: type[MemoryWorld]) -> None:
    made = ready_once(world)
    made.agent(spec={"protocols": [{"type": "A2A"}]}, status={"url": ""})
    assert resolved(made) == (f"{SERVICE}:9090/a", "True", "AgentNotReady")
    assert made.condition("AgentResolved")[2] == (
        f"Agent default/agent is not ready; its last known URL {SERVICE}:9090/a is kept."
    )
    assert made.settle() == []
    # Also by what this has made of the status, and when the spec of the Experiment changes meanwhile.
    made.edit(defaultThreshold=0.5)
    assert resolved(made) == (f"{SERVICE}:9090/a", "True", "AgentNotReady")


def test_but_not_that_of_another_agent(world: type[MemoryWorld]) -> None:
    made = ready_once(world)
    made.edit(agentRef={"name": "agent2"})
    made.put(AGENT, "agent2", spec={"protocols": [{"type": "A2A", "port": 7}]})
    assert resolved(made) == ("http://agent2.default.svc.cluster.local:7", "True", "AgentSpec")
    made.edit(agentRef={"name": "agent", "namespace": "agents"})
    made.put(AGENT, "agent", "agents", spec={"protocols": [{"type": "A2A", "port": 7}]})
    assert resolved(made) == ("http://agent.agents.svc.cluster.local:7", "True", "AgentSpec")


def test_nor_of_one_that_was_deleted(world: type[MemoryWorld]) -> None:
    made = ready_once(world)
    ref = made.agent(status={"url": ""})
    del made.objects[ref]
    assert resolved(made) == (f"{SERVICE}:8000", "False", "AgentNotFound")
    made.settle()
    made.agent(spec={"protocols": [{"type": "A2A", "port": 7}]})
    assert resolved(made) == (f"{SERVICE}:7", "True", "AgentSpec")


def test_an_assumed_url_is_no_last_good_one(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    made.agent(spec={"protocols": [{"type": "A2A", "port": 7}]})
    assert resolved(made) == (f"{SERVICE}:7", "True", "AgentSpec")


def test_nor_is_that_of_an_agent_that_said_nothing(world: type[MemoryWorld]) -> None:
    made = world()
    made.agent(spec={})
    made.settle()
    made.agent(spec={"protocols": [{"type": "A2A", "port": 7}]})
    assert resolved(made) == (f"{SERVICE}:7", "True", "AgentSpec")


def test_a_new_url_reaches_workflow_and_status(world: type[MemoryWorld]) -> None:
    made = ready_once(world)
    made.agent(status={"url": f"http://new:1{CARD}"})
    assert [str(action).split(" (")[0] for action in made.plan().actions] == [
        "change TestWorkflow testkube/weather-workflow.default"
    ]
    made.settle()
    assert made.status["agentUrl"] == "http://new:1"
    assert made.child(TEST_WORKFLOW)["spec"]["use"][0]["config"]["agentUrl"] == "http://new:1"
