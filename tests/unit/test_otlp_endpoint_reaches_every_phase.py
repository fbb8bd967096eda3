"""An OTLP endpoint is passed as a parameter, too: a template's own environment beats the workflow's. Where there is
none, telemetry is off: the run phase would try to send each span to localhost, for minutes.
"""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import TEST_WORKFLOW
from support.memory import MemoryWorld

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
OFF = {"name": "OTEL_SDK_DISABLED", "value": "true"}
OWN_SECRET = {"name": VARIABLE, "valueFrom": {"secretKeyRef": {"name": "otel", "key": "url"}}}
OWN_CONFIG = {"name": VARIABLE, "valueFrom": {"configMapKeyRef": {"name": "otel-config", "key": VARIABLE}}}


def parameters(made: Any) -> dict[str, str | None]:
    """Of the templates that declare it."""
    config = made.config()
    return {name: config[name].get("otelExporterOtlpEndpoint") for name in ("run-template", "publish-template")}


def environment(made: Any) -> list[dict[str, Any]]:
    """What the phases find in theirs of telemetry."""
    env = made.manifest(TEST_WORKFLOW)["spec"]["container"]["env"]
    return [variable for variable in env if variable["name"].startswith("OTEL_")]


def warned(made: Any) -> list[str]:
    return [str(warning) for warning in made.plan().warnings]


def assert_everywhere(made: Any, endpoint: str | None) -> None:
    assert parameters(made) == {"run-template": endpoint, "publish-template": endpoint}
    assert environment(made) == [{"name": VARIABLE, "value": endpoint} if endpoint else OFF]


def test_the_endpoint_of_the_spec_comes_first(world: type[MemoryWorld]) -> None:
    made = world(otlpEndpoint="http://otel:4318")
    made.otel_config("http://other:4318")
    assert_everywhere(made, "http://otel:4318")


def test_the_endpoint_of_otel_config_beside_the_experiment_comes_second(world: type[MemoryWorld]) -> None:
    made = world()
    made.otel_config("http://testkube:4318", "testkube")
    made.otel_config("http://default:4318\n", "default")
    assert_everywhere(made, "http://default:4318")


def test_the_endpoint_of_otel_config_beside_testkube_comes_third(world: type[MemoryWorld]) -> None:
    made = world()
    made.otel_config("", "default")
    made.otel_config("http://testkube:4318", "testkube")
    assert_everywhere(made, "http://testkube:4318")


@pytest.mark.parametrize("data", [None, {}, {"data": None}, {"data": {"OTHER": "http://otel:4318"}}])
def test_without_an_endpoint_telemetry_is_off(world: type[MemoryWorld], data: dict[str, Any] | None) -> None:
    made = world()
    if data is not None:
        ref = made.otel_config("")
        made.objects[ref] = {**made.objects[ref], "data": None, **data}
    assert_everywhere(made, None)


def test_a_change_of_the_config_changes_the_workflow(world: type[MemoryWorld]) -> None:
    made = world()
    made.otel_config("http://one:4318")
    made.settle()
    made.otel_config("http://two:4318")
    (action,) = made.plan().actions
    paths = {each.path for each in action.differences}
    assert {
        "spec.container.env[1].value",
        "spec.use[0].config.otelExporterOtlpEndpoint",
        "spec.use[2].config.otelExporterOtlpEndpoint",
    } <= paths


def test_an_endpoint_in_the_environment_wins_in_both_places(world: type[MemoryWorld]) -> None:
    env = [{"name": VARIABLE, "value": "http://mine:4318"}]
    assert_everywhere(world(otlpEndpoint="http://otel:4318", env=env), "http://mine:4318")


@pytest.mark.parametrize("own", [OWN_SECRET, {"name": VARIABLE, "value": ""}, {"name": VARIABLE}])
def test_an_endpoint_in_the_environment_is_not_overruled_where_it_cannot_be_passed(
    world: type[MemoryWorld], own: dict[str, Any]
) -> None:
    made = world(otlpEndpoint="http://otel:4318", env=[own])
    assert parameters(made) == {"run-template": None, "publish-template": None}
    assert own in environment(made)


def test_an_endpoint_from_a_secret_is_taken_for_one(world: type[MemoryWorld]) -> None:
    """Nobody here may read it."""
    assert environment(world(env=[OWN_SECRET])) == [OWN_SECRET]


@pytest.mark.parametrize("own", [{"name": VARIABLE, "value": ""}, {"name": VARIABLE}])
def test_an_empty_endpoint_in_the_environment_is_none_and_warned_of(
    world: type[MemoryWorld], own: dict[str, Any]
) -> None:
    made = world(otlpEndpoint="http://otel:4318", env=[own])
    assert environment(made) == [OFF, own]
    assert warned(made) == [f"spec.env[0]: an empty {VARIABLE} lets upstream's publish phase fail: leave it out."]


def test_an_endpoint_from_otel_config_counts_once_it_is_there(world: type[MemoryWorld]) -> None:
    """Testkube leaves a variable unset whose ConfigMap is missing, also where `optional` is not said."""
    made = world(env=[OWN_CONFIG])
    assert environment(made) == [OFF, OWN_CONFIG]
    made.otel_config("http://default:4318", "default")  # pods run elsewhere
    assert environment(made) == [OFF, OWN_CONFIG]
    made.otel_config("http://testkube:4318", "testkube")
    assert environment(made) == [OWN_CONFIG]


def test_an_endpoint_under_another_key_of_otel_config_counts_once_it_is_there(world: type[MemoryWorld]) -> None:
    own = {"name": VARIABLE, "valueFrom": {"configMapKeyRef": {"name": "otel-config", "key": "URL"}}}
    made = world(env=[own])
    ref = made.otel_config("http://testkube:4318", "testkube")
    assert environment(made) == [OFF, own]
    made.objects[ref]["data"] = {"URL": "http://testkube:4318"}
    assert environment(made) == [own]


def test_an_endpoint_from_a_config_map_that_nobody_here_reads_is_taken_for_one(world: type[MemoryWorld]) -> None:
    own = {"name": VARIABLE, "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "otlp"}}}
    assert environment(world(env=[own])) == [own]


@pytest.mark.parametrize("source", [{"value": "http://otel:4318/v1/traces"}, {"valueFrom": OWN_SECRET["valueFrom"]}])
def test_an_endpoint_for_traces_alone_keeps_telemetry_on(world: type[MemoryWorld], source: dict[str, Any]) -> None:
    own = {"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", **source}
    assert environment(world(env=[own])) == [own]


@pytest.mark.parametrize(
    "own",
    [
        {"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
        {"name": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "value": ""},
        {"name": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "value": "http://otel:4318"},
    ],
)
def test_an_endpoint_that_traces_do_not_take_is_none(world: type[MemoryWorld], own: dict[str, Any]) -> None:
    """The run phase would send each span to localhost all the same."""
    assert environment(world(env=[own])) == [OFF, own]


def test_other_variables_of_telemetry_do_not_turn_it_on(world: type[MemoryWorld]) -> None:
    own = {"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "a=b"}
    assert environment(world(env=[own])) == [OFF, own]


@pytest.mark.parametrize("value", ["false", ""])
def test_an_experiment_may_turn_telemetry_on_or_off_itself(world: type[MemoryWorld], value: str) -> None:
    own = {"name": "OTEL_SDK_DISABLED", "value": value}
    assert environment(world(env=[own])) == [own]
    made = world(otlpEndpoint="http://otel:4318", env=[own])
    assert environment(made) == [{"name": VARIABLE, "value": "http://otel:4318"}, own]


def test_an_endpoint_from_a_config_map_that_a_template_overrules_is_warned_of(world: type[MemoryWorld]) -> None:
    made = world(env=[OWN_CONFIG])
    assert warned(made) == []
    made.template_sets("run-template", **{VARIABLE: "{{ config.otelExporterOtlpEndpoint }}"})
    (line,) = warned(made)
    assert line.startswith(f"spec.env[0]: {VARIABLE} does not arrive in run-template, which sets it itself")


def test_a_template_that_does_not_declare_it_is_not_passed_it(world: type[MemoryWorld]) -> None:
    made = world(otlpEndpoint="http://otel:4318")
    made.template("publish-template", "experimentName")
    assert parameters(made) == {"run-template": "http://otel:4318", "publish-template": None}
