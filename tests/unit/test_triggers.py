"""A trigger runs the workflow when the agent's Deployment changes, and is there only while it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.errors import Forbidden
from experiments.resources import TEST_TRIGGER
from support.memory import MemoryWorld

TRIGGER = "TestTrigger testkube/weather-trigger.default"
AVAILABLE = {"type": "Available", "status": "True"}
ROLLED_OUT = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "ttl": 10}


def spec(made: Any) -> dict[str, Any]:
    found: dict[str, Any] = made.manifest(TEST_TRIGGER)["spec"]
    return found


def has_condition(made: Any) -> bool:
    return "TriggerReady" in {c.type for c in made.plan().report.conditions}


def waited_for(made: Any) -> list[dict[str, Any]] | None:
    """The conditions of the Deployment for which a run waits."""
    found = spec(made).get("conditionSpec")
    return found and found["conditions"]


def test_a_trigger_has_the_fields_that_testkube_reads(world: type[MemoryWorld]) -> None:
    assert spec(world(trigger={"enabled": True})) == {
        "resource": "deployment",
        "resourceSelector": {"name": "agent", "namespace": "default"},
        "event": "modified",
        "action": "run",
        "execution": "testworkflow",
        "testSelector": {"name": "weather-workflow.default", "namespace": "testkube"},
        "disabled": False,
        "conditionSpec": {"timeout": 120, "delay": 1, "conditions": [ROLLED_OUT, AVAILABLE]},
    }


@pytest.mark.parametrize(
    "event",
    [
        "created",
        "modified",
        "deployment-image-update",
        "deployment-env-update",
        "deployment-containers-modified",
        "deployment-generation-modified",
        "deployment-resource-modified",
    ],
)
def test_a_run_waits_for_the_end_of_the_rollout_that_it_was_started_by(world: type[MemoryWorld], event: str) -> None:
    """A trigger fires when a rollout begins. The age keeps the end of the rollout before from being taken for it."""
    assert waited_for(world(trigger={"enabled": True, "event": event})) == [ROLLED_OUT, AVAILABLE]


def test_after_scaling_a_run_waits_for_no_rollout(world: type[MemoryWorld]) -> None:
    """There is none: Progressing would keep its age, and the run would never begin."""
    assert waited_for(world(trigger={"enabled": True, "event": "deployment-scale-update"})) == [AVAILABLE]


def test_after_a_deletion_a_run_waits_for_nothing(world: type[MemoryWorld]) -> None:
    assert waited_for(world(trigger={"enabled": True, "event": "deleted"})) is None


@pytest.mark.parametrize("wait", [None, {}, {"enabled": True}, {"timeoutSeconds": 120}])
def test_a_run_waits_two_minutes_unless_told_otherwise(world: type[MemoryWorld], wait: dict[str, Any] | None) -> None:
    made = world(trigger={"enabled": True, "waitForRollout": wait})
    assert spec(made)["conditionSpec"]["timeout"] == 120


def test_how_long_a_run_waits_is_the_experiments_choice(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True, "waitForRollout": {"timeoutSeconds": 300.0}})
    assert (spec(made)["conditionSpec"]["timeout"], type(spec(made)["conditionSpec"]["timeout"])) == (300, int)


def test_a_run_that_is_not_to_wait_begins_with_the_rollout(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True, "waitForRollout": {"enabled": False, "timeoutSeconds": 60}})
    assert waited_for(made) is None


def test_a_trigger_that_is_to_wait_no_more_is_changed(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    made.edit(trigger={"enabled": True, "waitForRollout": {"enabled": False}})
    assert made.settle() == [f"change {TRIGGER} (spec.conditionSpec)"]
    assert "conditionSpec" not in made.child(TEST_TRIGGER)["spec"]


@pytest.mark.parametrize("event", ["on_push", "update", "Modified", "deployment-created"])
def test_a_word_that_is_no_event_stands_for_modified(world: type[MemoryWorld], event: str) -> None:
    """Upstream knew only that one, whatever was written."""
    made = world(trigger={"enabled": True, "event": event})
    assert spec(made)["event"] == "modified"
    assert waited_for(made) == [ROLLED_OUT, AVAILABLE]
    status, reason, message = made.condition("TriggerReady")
    assert (status, reason) == ("True", "AppliedWithWarnings")
    assert f"Testkube has no such event of a Deployment: {event} is taken for modified" in message


def test_a_trigger_watches_the_deployment_of_this_very_agent(world: type[MemoryWorld]) -> None:
    """A name without a namespace would match in every one."""
    made = world(trigger={"enabled": True}, agentRef={"name": "agent", "namespace": "agents"})
    assert spec(made)["resourceSelector"] == {"name": "agent", "namespace": "agents"}


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
def test_a_trigger_has_event_and_policy_in_testkubes_spelling(world: type[MemoryWorld], policy: str) -> None:
    found = spec(world(trigger={"enabled": True, "event": "deployment-image-update", "concurrencyPolicy": policy}))
    assert (found["event"], found["concurrencyPolicy"]) == ("deployment-image-update", policy.lower())


@pytest.mark.parametrize("trigger", [None, {}, {"enabled": False}, {"event": "created"}])
def test_there_is_no_trigger_that_is_not_asked_for(world: type[MemoryWorld], trigger: dict[str, Any] | None) -> None:
    made = world(trigger=trigger)
    assert TEST_TRIGGER not in {action.ref.resource for action in made.plan().actions}
    assert not has_condition(made)


@pytest.mark.parametrize("trigger", [None, {"enabled": False}])
def test_a_trigger_that_is_switched_off_goes(world: type[MemoryWorld], trigger: dict[str, Any] | None) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    assert made.condition("TriggerReady") == ("True", "Applied", f"{TRIGGER} is as the Experiment says.")
    made.edit(trigger=trigger)
    assert made.settle() == [f"delete {TRIGGER}"]
    assert "TestTrigger" not in {resource["kind"] for resource in made.status["generatedResources"]}
    assert not has_condition(made)


def test_a_trigger_that_is_switched_off_goes_even_while_something_else_is_wrong(world: type[MemoryWorld]) -> None:
    """It would go on starting a workflow that is out of date."""
    made = world(trigger={"enabled": True})
    made.settle()
    made.edit(trigger=None, aiGatewayRef={"name": "missing"})
    assert made.settle() == [f"delete {TRIGGER}"]


def test_a_trigger_that_cannot_be_deleted_is_reported(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    made.edit(trigger=None)
    found = made.plan({made.subject.placement.test_trigger: Forbidden("testtriggers is forbidden")})
    assert TEST_TRIGGER not in {action.ref.resource for action in found.actions}
    assert found.report.conditions[-1].reason == "Forbidden"


def test_a_trigger_that_is_not_wanted_and_still_going_is_reported(world: type[MemoryWorld]) -> None:
    """It goes on starting runs as long as somebody's finalizer holds it."""
    made = world(trigger={"enabled": True})
    made.settle()
    made.child(TEST_TRIGGER)["metadata"]["finalizers"] = ["example.com/hold"]
    made.edit(trigger=None)
    assert made.settle() == [f"delete {TRIGGER}"]
    assert made.plan().needed is False
    assert made.condition("Ready") == ("False", "CleanupPending", f"Still there: {TRIGGER}.")


def test_where_triggers_are_not_served_only_the_trigger_is_missing(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    made.unserved.add(TEST_TRIGGER)
    status, reason, message = made.condition("TriggerReady")
    assert (status, reason) == ("False", "TestkubeMissing")
    assert "tests.testkube.io/v1" in message
    assert made.condition("WorkflowReady")[0] == "True"
    assert made.condition("Ready") == ("False", "TestkubeMissing", message)


def test_a_trigger_waits_for_its_workflow(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True}, aiGatewayRef={"name": "missing"})
    assert TEST_TRIGGER not in {action.ref.resource for action in made.plan().actions}
    assert made.condition("TriggerReady")[:2] == ("False", "GatewayMissing")
