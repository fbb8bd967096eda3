"""An OTLP endpoint is passed as a parameter, too: a template's own environment beats the workflow's."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import TEST_WORKFLOW

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
OWN_SECRET = {"name": VARIABLE, "valueFrom": {"secretKeyRef": {"name": "otel", "key": "url"}}}


def parameters(made: Any) -> dict[str, str | None]:
    """Of the templates that declare it."""
    config = made.config()
    return {name: config[name].get("otelExporterOtlpEndpoint") for name in ("run-template", "publish-template")}


def environment(made: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.manifest(TEST_WORKFLOW)["spec"].get("container", {}).get("env", [])
    return found


def assert_everywhere(made: Any, endpoint: str | None) -> None:
    assert parameters(made) == {"run-template": endpoint, "publish-template": endpoint}
    assert environment(made) == ([{"name": VARIABLE, "value": endpoint}] if endpoint else [])


def test_that_of_the_spec(world: Any) -> None:
    made = world(otlpEndpoint="http://otel:4318")
    made.otel_config("http://other:4318")
    assert_everywhere(made, "http://otel:4318")


def test_else_that_of_the_experiments_namespace(world: Any) -> None:
    made = world()
    made.otel_config("http://testkube:4318", "testkube")
    made.otel_config("http://default:4318\n", "default")
    assert_everywhere(made, "http://default:4318")


def test_else_that_of_testkubes_namespace(world: Any) -> None:
    made = world()
    made.otel_config("", "default")
    made.otel_config("http://testkube:4318", "testkube")
    assert_everywhere(made, "http://testkube:4318")


@pytest.mark.parametrize("data", [None, {}, {"data": None}, {"data": {"OTHER": "http://otel:4318"}}])
def test_else_none(world: Any, data: dict[str, Any] | None) -> None:
    made = world()
    if data is not None:
        ref = made.otel_config("")
        made.objects[ref] = {**made.objects[ref], "data": None, **data}
    assert_everywhere(made, None)


def test_a_change_of_the_config_changes_the_workflow(world: Any) -> None:
    made = world()
    made.otel_config("http://one:4318")
    made.settle()
    made.otel_config("http://two:4318")
    (action,) = made.plan().actions
    paths = {each.path for each in action.differences}
    assert {
        "spec.container.env[0].value",
        "spec.use[0].config.otelExporterOtlpEndpoint",
        "spec.use[2].config.otelExporterOtlpEndpoint",
    } <= paths


def test_the_users_own_value_wins_in_both_places(world: Any) -> None:
    env = [{"name": VARIABLE, "value": "http://mine:4318"}]
    assert_everywhere(world(otlpEndpoint="http://otel:4318", env=env), "http://mine:4318")


@pytest.mark.parametrize("own", [OWN_SECRET, {"name": VARIABLE, "value": ""}, {"name": VARIABLE}])
def test_the_users_own_is_not_overruled_where_it_cannot_be_passed(world: Any, own: dict[str, Any]) -> None:
    made = world(otlpEndpoint="http://otel:4318", env=[own])
    assert parameters(made) == {"run-template": None, "publish-template": None}
    assert environment(made) == [own]


def test_the_environment_is_passed_on_as_written_after_what_is_injected(world: Any) -> None:
    env = [
        {"name": "ZONE", "value": "0012"},
        {"name": "A", "value": ""},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "a", "optional": False}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
    ]
    made = world(otlpEndpoint="http://otel:4318", env=env)
    assert environment(made) == [{"name": VARIABLE, "value": "http://otel:4318"}, *env]


def test_a_template_that_does_not_declare_it_is_not_passed_it(world: Any) -> None:
    made = world(otlpEndpoint="http://otel:4318")
    made.template("publish-template", "experimentName")
    assert parameters(made) == {"run-template": "http://otel:4318", "publish-template": None}
