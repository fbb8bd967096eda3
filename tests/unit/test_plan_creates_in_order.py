"""What others need comes first: the finalizer before any child, the ConfigMap before the workflow that mounts it, the
workflow before the trigger that names it.
"""

from __future__ import annotations

from typing import Any

import pytest

from experiments.errors import Forbidden, Rejected
from experiments.names import MANAGED_BY
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP
from support.memory import MemoryWorld

FINALIZER = "testbench.agentic-layer.ai/cleanup"


def test_in_another_namespace_the_finalizer_comes_first(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    assert made.settle() == [
        f"add finalizer {FINALIZER}",
        "create ConfigMap testkube/weather-experiment.default",
        "create TestWorkflow testkube/weather-workflow.default",
        "create TestTrigger testkube/weather-trigger.default",
    ]


@pytest.mark.parametrize(("setting", "namespace"), [("testkube", "testkube"), (".", "shop")])
def test_beside_the_experiment_the_finalizer_comes_first(
    world: type[MemoryWorld], setting: str, namespace: str
) -> None:
    made = world(setting, namespace=namespace, trigger={"enabled": True})
    assert made.settle() == [
        f"add finalizer {FINALIZER}",
        f"create ConfigMap {namespace}/weather-experiment",
        f"create TestWorkflow {namespace}/weather-workflow",
        f"create TestTrigger {namespace}/weather-trigger",
    ]


def test_beside_the_experiment_it_owns_all_children(world: type[MemoryWorld]) -> None:
    made = world(".", trigger={"enabled": True})
    made.settle()
    owner = {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "name": "weather",
        "uid": "exp-1",
    }
    for child in made.children():
        assert child["metadata"]["ownerReferences"] == [{**owner, "controller": True}]


def test_in_another_namespace_nothing_owns_a_child(world: type[MemoryWorld]) -> None:
    """An owner in another namespace would make the garbage collector delete the child at once."""
    made = world(trigger={"enabled": True})
    made.settle()
    assert not [child for child in made.children() if "ownerReferences" in child["metadata"]]


@pytest.mark.parametrize("setting", ["testkube", "."])
def test_every_child_leads_back_to_its_experiment(world: type[MemoryWorld], setting: str) -> None:
    made = world(setting, trigger={"enabled": True})
    made.settle()
    for child in made.children():
        metadata = child["metadata"]
        assert metadata["labels"] == {
            MANAGED_BY: "experiment-operator",
            "testbench.agentic-layer.ai/experiment-uid": "exp-1",
        }
        assert metadata["annotations"]["testbench.agentic-layer.ai/experiment"] == "default/weather"
        itself = f"{metadata['namespace']}/{metadata['name']}"
        assert metadata["annotations"]["testbench.agentic-layer.ai/object"] == itself


def test_a_failed_finalizer_keeps_everything_back(world: type[MemoryWorld]) -> None:
    made = world()
    ref = made.subject.ref
    planned = made.plan({ref: Forbidden("experiments is forbidden")})
    assert planned.actions == ()
    assert [(c.type, c.status, c.reason) for c in planned.report.conditions][-1] == ("Ready", "False", "Forbidden")


@pytest.mark.parametrize(("failed", "planned"), [(CONFIG_MAP, []), (TEST_WORKFLOW, [CONFIG_MAP])])
def test_what_needs_a_failed_child_is_kept_back(world: type[MemoryWorld], failed: Any, planned: list[Any]) -> None:
    made = world(trigger={"enabled": True})
    ref = next(child for child in made.subject.placement.children if child.resource == failed)
    found = made.plan({ref: Rejected("no")})
    assert [action.ref.resource for action in found.actions[1:]] == planned
    assert {(c.type, c.reason) for c in found.report.conditions} >= {
        ("WorkflowReady", "Rejected"),
        ("TriggerReady", "Rejected"),
        ("Ready", "Rejected"),
    }


def test_a_failed_trigger_leaves_the_workflow_alone(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    found = made.plan({made.subject.placement.test_trigger: Rejected("no")})
    assert [action.ref.resource for action in found.actions[1:]] == [CONFIG_MAP, TEST_WORKFLOW]
    said = {c.type: (c.status, c.reason) for c in found.report.conditions}
    assert (said["WorkflowReady"], said["TriggerReady"]) == (("True", "Applied"), ("False", "Rejected"))
    assert TEST_TRIGGER.kind not in {resource.kind for resource in found.report.generated}


def test_no_half_of_a_spec_that_breaks_the_rules(world: type[MemoryWorld]) -> None:
    """Such an object may exist from a time with weaker rules."""
    made = world(defaultThreshold=2, trigger={"enabled": "yes"})
    assert made.plan().actions == ()
    status, reason, message = made.condition("Ready")
    assert (status, reason) == ("False", "InvalidSpec")
    assert "spec.defaultThreshold: " in message
    assert "spec.trigger.enabled: " in message
