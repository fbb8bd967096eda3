"""Key and base URL of the judge reach the evaluate phase whatever the template does: by parameter where it sets them
itself, else by the environment. What the Experiment says in `spec.env` wins.

A template's own environment beats the workflow's, even when it is empty, and no metric works without a key.
"""

from __future__ import annotations

from typing import Any

import pytest

from experiments.resources import TEST_WORKFLOW
from support.memory import MemoryWorld

KEY, URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
SECRET = {"secretKeyRef": {"name": "judge", "key": "key"}}
CONFIG = {"configMapKeyRef": {"name": "judge", "key": "url"}}


def passed(made: Any) -> dict[str, str]:
    """What the evaluate template is passed."""
    config: dict[str, str] = made.config()["evaluate-template"]
    return config


def environment(made: Any, name: str) -> dict[str, Any] | None:
    env = made.manifest(TEST_WORKFLOW)["spec"]["container"]["env"]
    return next((variable for variable in env if variable["name"] == name), None)


def sets(made: Any, name: str) -> Any:
    """As upstream's template does."""
    made.template_sets("evaluate-template", **{name: "{{ config.openAiApiKey }}"})
    return made


def warned(made: Any) -> list[str]:
    return [str(warning) for warning in made.plan().warnings]


def test_a_key_in_the_environment_is_passed_as_parameter_too(world: type[MemoryWorld]) -> None:
    made = world(env=[{"name": KEY, "value": "sk-1"}])
    assert passed(made)["openAiApiKey"] == "sk-1"
    assert environment(made, KEY) == {"name": KEY, "value": "sk-1"}
    assert warned(sets(made, KEY)) == []


@pytest.mark.parametrize("env", [None, [{"name": KEY}], [{"name": KEY, "value": ""}]])
def test_without_a_key_a_placeholder_is_passed(world: type[MemoryWorld], env: list[dict[str, str]] | None) -> None:
    """A gateway inside the cluster may ask for none, but the judge's client refuses to start without."""
    made = world(env=env)
    assert passed(made)["openAiApiKey"] == "unused"
    assert warned(sets(made, KEY)) == []


def test_a_key_that_looks_like_a_number_arrives_as_written(world: type[MemoryWorld]) -> None:
    assert passed(world(env=[{"name": KEY, "value": "0012"}]))["openAiApiKey"] == '{{"0012"}}'


@pytest.mark.parametrize("source", [SECRET, CONFIG])
def test_a_key_from_a_secret_is_not_overruled_by_a_placeholder(
    world: type[MemoryWorld], source: dict[str, Any]
) -> None:
    made = world(env=[{"name": KEY, "valueFrom": source}])
    assert "openAiApiKey" not in passed(made)
    assert environment(made, KEY) == {"name": KEY, "valueFrom": source}


@pytest.mark.parametrize("source", [SECRET, CONFIG])
def test_a_key_from_a_secret_that_the_template_overrules_is_warned_of(
    world: type[MemoryWorld], source: dict[str, Any]
) -> None:
    made = world(env=[{"name": "A"}, {"name": KEY, "valueFrom": source}])
    assert warned(made) == []
    (line,) = warned(sets(made, KEY))
    assert line == (
        "spec.env[1]: OPENAI_API_KEY does not arrive in evaluate-template, which sets it itself and takes it from no "
        "Secret or ConfigMap."
    )


def test_a_template_that_takes_no_key_is_passed_none(world: type[MemoryWorld]) -> None:
    made = world(env=[{"name": KEY, "value": "sk-1"}])
    made.template("evaluate-template", "model")
    assert passed(made) == {}
    assert warned(made) == []
    (line,) = warned(sets(made, KEY))
    assert line == (
        "spec.env[0]: OPENAI_API_KEY does not arrive in evaluate-template, which sets it itself and has no parameter "
        "for it."
    )


@pytest.mark.parametrize("part", ["container", "setup", "steps", "after"])
def test_a_key_is_found_to_be_overruled_wherever_the_template_sets_it(world: type[MemoryWorld], part: str) -> None:
    made = world(env=[{"name": KEY, "valueFrom": SECRET}])
    made.template("evaluate-template", "openAiApiKey")
    env = [{"name": KEY, "value": ""}]
    body = {"env": env} if part == "container" else [{"name": "a", "steps": [{"container": {"env": env}}]}]
    next(obj for ref, obj in made.objects.items() if ref.name == "evaluate-template")["spec"][part] = body
    assert len(warned(made)) == 1


def test_a_base_url_in_the_environment_wins_over_the_gateways(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={"name": "gateway"}, env=[{"name": URL, "value": "http://mine/v1"}])
    made.gateway()
    assert {passed(made)[name] for name in ("openAiBasePath", "openApiBasePath")} == {"http://mine/v1"}
    assert environment(made, URL) == {"name": URL, "value": "http://mine/v1"}
    assert warned(sets(made, URL)) == []


@pytest.mark.parametrize("own", [{"valueFrom": CONFIG}, {"value": ""}, {}])
def test_a_base_url_that_cannot_be_passed_is_not_overruled_by_the_gateways(
    world: type[MemoryWorld], own: dict[str, Any]
) -> None:
    made = world(aiGatewayRef={"name": "gateway"}, env=[{"name": URL, **own}])
    made.gateway()
    assert not {"openAiBasePath", "openApiBasePath"} & {*passed(made)}


def test_a_base_url_from_a_config_map_that_the_template_overrules_is_warned_of(world: type[MemoryWorld]) -> None:
    made = world(env=[{"name": URL, "valueFrom": CONFIG}])
    assert warned(made) == []
    (line,) = warned(sets(made, URL))
    assert line.startswith("spec.env[0]: OPENAI_BASE_URL does not arrive in evaluate-template, which sets it itself")


def test_a_templates_own_key_is_not_overruled_by_a_placeholder(world: type[MemoryWorld]) -> None:
    made = world()
    made.template("evaluate-template", openAiApiKey={"type": "string", "default": "shared"})
    assert "openAiApiKey" not in made.config()["evaluate-template"]
    made.edit(env=[{"name": "OPENAI_API_KEY", "value": "mine"}])
    assert made.config()["evaluate-template"]["openAiApiKey"] == "mine"
