"""What is generated for the samples and for each generation of the API runs, with our templates and with upstream's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.standins import Collector

GENERATIONS = Path(__file__).parents[1] / "support" / "generations"
# What the phases' libraries ask for on their own account: they report that they are used.
USAGE = {"t.explodinggradients.com"}


@pytest.fixture(params=["our templates", "upstream's templates"])
def templates(request: pytest.FixtureRequest, upstream: Path) -> Path | None:
    return upstream if request.param.startswith("upstream") else None


def the_judge_was_asked(testkube: Any, gateway: str) -> set[tuple[str, str]]:
    """For which models, and with which keys."""
    asked = testkube.network.asked(gateway)
    return {(json.loads(request.body)["model"], request.headers["authorization"]) for request in asked}


def test_the_sample_with_scenarios_passes(testkube: Any, sample: Any, templates: Path | None) -> None:
    run = testkube.run(sample("scenarios", aiGatewayRef={"name": "ai-gateway"}), templates=templates)
    assert run.passed, run.output
    assert run.evaluations == [
        ("ToolCallAccuracy", "pass", 1.0),
        ("TopicAdherence", "pass", pytest.approx(1)),
        ("FactualCorrectness", "pass", 1.0),
        ("ToolCallAccuracy", "pass", 1.0),
        ("ToolCallAccuracy", "pass", 1.0),
        ("AgentGoalAccuracyWithoutReference", "pass", 1.0),
    ]
    assert all(scenario["name"] in run.report for scenario in run.evaluated["scenarios"])
    assert the_judge_was_asked(testkube, "ai-gateway") == {("gemini-2.5-flash-lite", "Bearer unused")}
    assert testkube.network.names - USAGE == {"weather-agent", "ai-gateway"}


def test_the_sample_with_an_inline_dataset_passes(testkube: Any, sample: Any, templates: Path | None) -> None:
    run = testkube.run(sample("dataset-inline", aiGatewayRef={"name": "ai-gateway"}), templates=templates)
    assert run.passed, run.output
    assert run.evaluations == [("ToolCallAccuracy", "pass", 1.0)]
    assert testkube.network.names - USAGE == {"weather-agent"}


@pytest.mark.parametrize("generation", ["with-scenarios", "with-inline-dataset"])
def test_each_generation_of_the_api_passes(testkube: Any, templates: Path | None, generation: str) -> None:
    testkube.network.services["otel"] = collector = Collector()
    experiment = yaml.safe_load((GENERATIONS / f"{generation}.yaml").read_text())
    endpoint = "http://otel.monitoring.svc.cluster.local:4318"
    run = testkube.run(experiment, templates=templates, endpoint=endpoint)
    assert run.passed, run.output
    assert run.evaluations == [("ToolCallAccuracy", "pass", 1.0)]
    assert {point["attributes"]["experiment_name"] for point in collector.points} == {generation}
    assert testkube.network.names - USAGE == {"sailing-agent", "otel"}


def test_texts_arrive_as_written(testkube: Any, sample: Any, templates: Path | None) -> None:
    """Expressions of Testkube, quotes and the like are no business of Testkube's in a mounted file."""
    question = "What is {{ config.agentUrl }} in \"$(date)\" - 'ümlaut' \\ `x`?\nAnd {{ this?"
    experiment = sample("scenarios", scenarios=[{"name": question, "steps": [{"input": question}]}])
    run = testkube.run(experiment, templates=templates, until="run")
    (request,) = testkube.network.asked("weather-agent")
    assert json.loads(request.body)["params"]["message"]["parts"][0]["text"] == question, run.output
