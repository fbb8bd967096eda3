"""What this service did not create for this very Experiment is neither changed nor deleted, whatever it is called."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.names import EXPERIMENT_ANNOTATION, MANAGED_BY, UID_LABEL
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, Resource
from support.memory import MemoryWorld

CHILDREN = {
    CONFIG_MAP: "weather-experiment.default",
    TEST_WORKFLOW: "weather-workflow.default",
    TEST_TRIGGER: "weather-trigger.default",
}
FOREIGN = [
    {},
    {"labels": {MANAGED_BY: "experiment-operator"}},
    {"labels": {UID_LABEL: "exp-2"}},
    {"annotations": {EXPERIMENT_ANNOTATION: "shop/weather"}},
    {"annotations": {EXPERIMENT_ANNOTATION: "default/weather2"}},
    {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "exp-2"}]},
]


def touched(made: Any) -> set[Resource]:
    return {action.ref.resource for action in made.plan().actions}


@pytest.mark.parametrize("metadata", FOREIGN)
@pytest.mark.parametrize("resource", CHILDREN)
def test_a_taken_name_is_a_conflict(world: type[MemoryWorld], resource: Resource, metadata: dict[str, Any]) -> None:
    made = world(trigger={"enabled": True})
    ref = made.put(resource, CHILDREN[resource], "testkube", metadata=metadata)
    order = list(CHILDREN)
    assert touched(made) - {made.subject.ref.resource} == {*order[: order.index(resource)]}
    message = f"{ref} exists and was not made for this Experiment; rename one of the two."
    assert made.condition("Ready") == ("False", "NameConflict", message)
    assert ref not in made.plan().report.generated


@pytest.mark.parametrize("metadata", FOREIGN)
def test_cleaning_up_leaves_it(world: type[MemoryWorld], metadata: dict[str, Any]) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    refs = [made.put(resource, name, "testkube", metadata=metadata) for resource, name in CHILDREN.items()]
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert made.settle() == ["remove finalizer testbench.agentic-layer.ai/cleanup"]
    assert all(ref in made.objects for ref in refs)


def test_so_does_switching_the_trigger_off(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    made.put(TEST_TRIGGER, CHILDREN[TEST_TRIGGER], "testkube")
    assert touched(made) == set()


def test_a_child_of_an_earlier_experiment_of_this_name_is_taken_on(world: type[MemoryWorld]) -> None:
    """It was made by this service for that name; an orphan would block the name for ever."""
    made = world(trigger={"enabled": True})
    made.settle()
    made.metadata.update(uid="exp-2", generation=1, finalizers=[])
    made.experiment.pop("status")
    made.settle()
    for child in made.children():
        assert child["metadata"]["labels"][UID_LABEL] == "exp-2"
    assert made.plan().needed is False


def test_a_child_that_is_being_deleted_has_to_be_gone_first(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    made.child(TEST_WORKFLOW)["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert touched(made) == set()
    assert made.condition("WorkflowReady") == (
        "False",
        "ChildTerminating",
        "TestWorkflow testkube/weather-workflow.default is being deleted; it is made again once it is gone.",
    )
