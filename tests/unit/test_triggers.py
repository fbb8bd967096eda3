"""A trigger runs the workflow when the agent's Deployment changes, and is there only while it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.errors import Forbidden
from experiments.resources import TEST_TRIGGER

TRIGGER = "TestTrigger testkube/weather-trigger.default"


def spec(made: Any) -> dict[str, Any]:
    found: dict[str, Any] = made.manifest(TEST_TRIGGER)["spec"]
    return found


def has_condition(made: Any) -> bool:
    return "TriggerReady" in {c.type for c in made.plan().report.conditions}


def test_as_testkube_reads_it(world: Any) -> None:
    assert spec(world(trigger={"enabled": True})) == {
        "resource": "deployment",
        "resourceSelector": {"name": "agent", "namespace": "default"},
        "event": "modified",
        "action": "run",
        "execution": "testworkflow",
        "testSelector": {"name": "weather-workflow.default", "namespace": "testkube"},
        "disabled": False,
    }


def test_it_watches_the_deployment_of_this_very_agent(world: Any) -> None:
    """A name without a namespace would match in every one."""
    made = world(trigger={"enabled": True}, agentRef={"name": "agent", "namespace": "agents"})
    assert spec(made)["resourceSelector"] == {"name": "agent", "namespace": "agents"}


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
def test_event_and_policy(world: Any, policy: str) -> None:
    found = spec(world(trigger={"enabled": True, "event": "deployment-image-update", "concurrencyPolicy": policy}))
    assert (found["event"], found["concurrencyPolicy"]) == ("deployment-image-update", policy.lower())


@pytest.mark.parametrize("trigger", [None, {}, {"enabled": False}, {"event": "created"}])
def test_none_that_is_not_asked_for(world: Any, trigger: dict[str, Any] | None) -> None:
    made = world(trigger=trigger)
    assert TEST_TRIGGER not in {action.ref.resource for action in made.plan().actions}
    assert not has_condition(made)


@pytest.mark.parametrize("trigger", [None, {"enabled": False}])
def test_switched_off_it_goes(world: Any, trigger: dict[str, Any] | None) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    assert made.condition("TriggerReady") == ("True", "Applied", f"{TRIGGER} is as the Experiment says.")
    made.edit(trigger=trigger)
    assert made.settle() == [f"delete {TRIGGER}"]
    assert "TestTrigger" not in {resource["kind"] for resource in made.status["generatedResources"]}
    assert not has_condition(made)


def test_switched_off_it_goes_even_while_something_else_is_wrong(world: Any) -> None:
    """It would go on starting a workflow that is out of date."""
    made = world(trigger={"enabled": True})
    made.settle()
    made.edit(trigger=None, aiGatewayRef={"name": "missing"})
    assert made.settle() == [f"delete {TRIGGER}"]


def test_one_that_cannot_be_deleted_is_reported(world: Any) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    made.edit(trigger=None)
    found = made.plan({made.subject.placement.test_trigger: Forbidden("testtriggers is forbidden")})
    assert TEST_TRIGGER not in {action.ref.resource for action in found.actions}
    assert found.report.conditions[-1].reason == "Forbidden"


def test_where_triggers_are_not_served_only_the_trigger_is_missing(world: Any) -> None:
    made = world(trigger={"enabled": True})
    made.unserved.add(TEST_TRIGGER)
    status, reason, message = made.condition("TriggerReady")
    assert (status, reason) == ("False", "TestkubeMissing")
    assert "tests.testkube.io/v1" in message
    assert made.condition("WorkflowReady")[0] == "True"
    assert made.condition("Ready") == ("False", "TestkubeMissing", message)


def test_it_waits_for_its_workflow(world: Any) -> None:
    made = world(trigger={"enabled": True}, aiGatewayRef={"name": "missing"})
    assert TEST_TRIGGER not in {action.ref.resource for action in made.plan().actions}
    assert made.condition("TriggerReady")[:2] == ("False", "GatewayMissing")
