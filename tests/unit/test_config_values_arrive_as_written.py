"""What templates are passed arrives in the phases as it was written, although Testkube evaluates and decodes it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from experiments.errors import ExpressionRefused
from experiments.models import ExperimentSpec
from experiments.resources import AGENT, TEST_WORKFLOW
from support.memory import MemoryWorld


def arrived(value: str) -> str:
    """What Testkube makes of a config value that holds nothing, or one expression that is a string."""
    expression = re.fullmatch(r"\{\{(.*)\}\}", value)
    decoded: str = json.loads(expression[1]) if expression else value
    return decoded


# fmt: off
NO_STRINGS = [
    "0012", "12", "-1", "+5", "1_000", "1.0", ".5", "5.", "1e3", "1E-3", "0x1F", "0o17", "0b11", "0x1p-2", "1:30", "~",
    "2026-11-23", "2026-11-23T00:00:00Z", "true", "False", "yes", "No", "on", "OFF", "y", "N", "null", "NaN", "inf",
    "-.inf", "Infinity", "-",
]
# fmt: on


@pytest.mark.parametrize("value", NO_STRINGS)
def test_what_looks_like_no_string_is_written_as_an_expression(world: type[MemoryWorld], value: str) -> None:
    passed = world(llmAsAJudgeModel=value).config()["evaluate-template"]["model"]
    assert passed == f'{{{{"{value}"}}}}'


@pytest.mark.parametrize(
    "value", ["gpt-4o", "2026/11/a.json", "e3", "o1", "x12", "one", "nano", "yesterday", "nullable", "a {b} }} c"]
)
def test_what_is_a_string_is_written_as_it_is(world: type[MemoryWorld], value: str) -> None:
    assert world(llmAsAJudgeModel=value).config()["evaluate-template"]["model"] == value


@pytest.mark.parametrize("key", ['2026/"a"\\b.json', "0 ü.json", "1\t2"])
def test_keys_of_datasets_arrive_as_written(world: type[MemoryWorld], key: str) -> None:
    passed = world(scenarios=None, dataset={"s3": {"bucket": "007", "key": key}}).config()["setup-template"]
    assert {name: arrived(value) for name, value in passed.items()} == {"bucket": "007", "key": key}


@pytest.mark.parametrize("name", ["0012", "1e3", "true", "2026-11-23"])
def test_names_of_experiments_arrive_as_written(world: type[MemoryWorld], name: str) -> None:
    made = world()
    made.metadata["name"] = name
    passed = [config["experimentName"] for config in made.config().values() if "experimentName" in config]
    assert [arrived(value) for value in passed] == [name] * 3


def test_every_value_is_a_string(world: type[MemoryWorld]) -> None:
    made = world(scenarios=None, dataset={"s3": {"bucket": "1", "key": "true"}}, aiGatewayRef={"name": "gateway"})
    made.gateway(port=8080)
    values = [value for config in made.config().values() for value in config.values()]
    assert len(values) == 9
    assert all(isinstance(value, str) for value in values)


@pytest.mark.parametrize(
    "spec",
    [
        {"llmAsAJudgeModel": "{{ config.model }}"},
        {"dataset": {"s3": {"bucket": "{{", "key": "k"}}, "scenarios": None},
        {"dataset": {"s3": {"bucket": "b", "key": "a{{b"}}, "scenarios": None},
        {"dataset": {"url": "http://data/{{"}, "scenarios": None},
        {"otlpEndpoint": "http://otel/{{"},
        {"dataset": {"inline": {"llmAsAJudgeModel": "{{", "scenarios": [{"name": "a", "steps": [{"input": "b"}]}]}}},
    ],
)
def test_an_expression_in_the_spec_is_refused(spec: dict[str, Any]) -> None:
    """No escape survives: Testkube evaluates in several rounds."""
    scenarios = [{"name": "Oslo", "steps": [{"input": "Hi"}]}]
    with pytest.raises(ValidationError, match=r"must not contain '\{\{'|must be an http:// or https:// URL"):
        ExperimentSpec.model_validate({"agentRef": {"name": "agent"}, "scenarios": scenarios, **spec})


@pytest.mark.parametrize("url", ["http://agent/{{ secret }}", "http://agent/{{"])
def test_an_expression_in_what_an_agent_says_is_refused(world: type[MemoryWorld], url: str) -> None:
    made = world()
    made.agent(status={"url": url})
    assert made.condition("AgentResolved") == (
        "False",
        "ExpressionRefused",
        f"the URL of Agent default/agent holds '{{{{', which Testkube would evaluate: {url}",
    )
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}


def test_an_expression_in_an_agents_path_is_refused(world: type[MemoryWorld]) -> None:
    made = world()
    made.put(AGENT, "agent", spec={"protocols": [{"type": "A2A", "path": "/{{"}]})
    assert [type(problem) for problem in made.plan().problems] == [ExpressionRefused]


def test_an_expression_in_otel_config_is_refused(world: type[MemoryWorld]) -> None:
    made = world()
    made.otel_config("http://{{ x }}:4318")
    status, reason, message = made.condition("WorkflowReady")
    assert (status, reason) == ("False", "ExpressionRefused")
    assert message.startswith("OTEL_EXPORTER_OTLP_ENDPOINT of ConfigMap default/otel-config holds '{{'")
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}


def test_an_expression_in_the_environment_is_a_feature(world: type[MemoryWorld]) -> None:
    own = {"name": "RUN", "value": "{{ execution.id }}"}
    assert own in world(env=[own]).manifest(TEST_WORKFLOW)["spec"]["container"]["env"]


@pytest.mark.parametrize("value", ["{{", "{{ execution.id", "{{ a }} {{ b"])
def test_an_open_expression_in_the_environment_is_an_error(world: type[MemoryWorld], value: str) -> None:
    made = world(env=[{"name": "RUN", "value": value}])
    status, reason, message = made.condition("Ready")
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith("spec.env[0].value: has a '{{' without its '}}'")
