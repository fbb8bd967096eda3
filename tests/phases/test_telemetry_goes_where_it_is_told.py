"""Traces and scores arrive at an OTLP endpoint that is named; where none is, nothing tries to send any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.standins import Collector

GATEWAY = {"name": "ai-gateway"}
ENDPOINT = "http://collector.monitoring.svc.cluster.local:4318"
# Where OpenTelemetry sends what nobody says where to send.
DEFAULT = "localhost"


@pytest.fixture(params=["our templates", "upstream's templates"])
def templates(request: pytest.FixtureRequest, upstream: Path) -> Path | None:
    return upstream if request.param.startswith("upstream") else None


def test_to_the_endpoint_of_the_experiment(
    testkube: Any, sample: Any, collector: Collector, templates: Path | None
) -> None:
    experiment = sample("scenarios", aiGatewayRef=GATEWAY, otlpEndpoint=ENDPOINT)
    run = testkube.run(experiment, templates=templates)
    assert run.passed, run.output
    names = {scenario["name"] for scenario in run.evaluated["scenarios"]}
    assert {f"scenario: {name}" for name in names} <= {span["name"] for span in collector.spans}
    assert {point["metric"] for point in collector.points} == {"testbench_evaluation_metric"}
    sent = {tuple(sorted(point["attributes"].items())): point["asDouble"] for point in collector.points}
    assert sorted(sent.values()) == sorted(score for _, _, score in run.evaluations)
    attributes = [point["attributes"] for point in collector.points]
    assert {each["scenario_name"] for each in attributes} == names
    assert {(each["experiment_name"], each["execution_number"]) for each in attributes} == {("weather", "3")}
    # The agent is told the trace, so that what it does is found under the id that the evaluated experiment names.
    traced = {request.headers["traceparent"].split("-")[1] for request in testkube.network.asked("weather-agent")}
    assert traced == {scenario["trace_id"] for scenario in run.evaluated["scenarios"]}
    assert DEFAULT not in testkube.network.names


def test_nowhere_where_none_is_known(testkube: Any, sample: Any, templates: Path | None) -> None:
    run = testkube.run(sample("dataset-inline"), templates=templates, until="run")
    assert run.codes == {"run": 0}, run.output
    assert testkube.network.names == {"weather-agent"}


def test_without_being_told_upstreams_run_sends_to_the_default(testkube: Any, sample: Any, upstream: Path) -> None:
    """The reason for OTEL_SDK_DISABLED; and that the test before this one would see it."""
    testkube.network.services[DEFAULT] = receiver = Collector()
    run = testkube.run(sample("dataset-inline"), templates=upstream, until="run", without="OTEL_SDK_DISABLED")
    assert receiver.spans, run.output


@pytest.mark.parametrize(
    "variable",
    [{"valueFrom": {"configMapKeyRef": {"name": "missing", "key": "url"}}}, {"value": ""}],
    ids=["unset", "empty"],
)
def test_our_templates_take_a_variable_without_value_for_none(
    testkube: Any, sample: Any, variable: dict[str, Any]
) -> None:
    env = [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", **variable}]
    run = testkube.run(sample("dataset-inline", aiGatewayRef=GATEWAY, env=env))
    assert run.passed, run.output
    assert DEFAULT not in testkube.network.names
