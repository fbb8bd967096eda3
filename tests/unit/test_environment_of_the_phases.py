"""The phases find in their environment what makes them run in the published image, and then the Experiment's own, which
wins, as it is written there.
"""

from __future__ import annotations

from typing import Any

from experiments.resources import TEST_WORKFLOW
from support.memory import MemoryWorld

NO_SYNC = {"name": "UV_NO_SYNC", "value": "1"}
OFF = {"name": "OTEL_SDK_DISABLED", "value": "true"}


def environment(made: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.manifest(TEST_WORKFLOW)["spec"]["container"]["env"]
    return found


def test_phases_do_not_rebuild_their_package_at_each_start(world: type[MemoryWorld]) -> None:
    """It takes the internet, and without it they fail."""
    assert NO_SYNC in environment(world())
    dataset = {"url": "http://data/a.json"}
    assert NO_SYNC in environment(world(scenarios=None, dataset=dataset))


def test_an_experiment_may_have_them_rebuild_it(world: type[MemoryWorld]) -> None:
    own = {"name": "UV_NO_SYNC", "value": ""}
    assert environment(world(env=[own])) == [OFF, own]


def test_the_environment_is_passed_on_as_written_after_what_is_injected(world: type[MemoryWorld]) -> None:
    env = [
        {"name": "ZONE", "value": "0012"},
        {"name": "A", "value": ""},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "a", "optional": False}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
    ]
    endpoint = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"}
    made = world(otlpEndpoint="http://otel:4318", env=env)
    assert environment(made) == [NO_SYNC, endpoint, *env]


def test_the_environment_keeps_its_order_where_it_overrules_what_is_injected(world: type[MemoryWorld]) -> None:
    env = [{"name": name, "value": "mine"} for name in ("A", "OTEL_SDK_DISABLED", "B", "UV_NO_SYNC")]
    assert environment(world(env=env)) == env
