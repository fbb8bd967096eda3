"""A deleted Experiment takes its children along, the trigger first: Testkube drops other triggers of an event when the
workflow of one is missing.
"""

from __future__ import annotations

from typing import Any

import pytest

from experiments.errors import CleanupPending
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef, Resource
from support.memory import MemoryWorld

FINALIZER = "testbench.agentic-layer.ai/cleanup"


def deleted(made: Any, **spec: Any) -> Any:
    made.edit(**spec)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    return made


def settled(world: type[MemoryWorld], *args: Any) -> Any:
    made = world(*args, trigger={"enabled": True})
    made.settle()
    return made


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("testkube", "testkube/weather-{}.default"),
        (".", "default/weather-{}"),
    ],
)
def test_the_trigger_goes_before_its_workflow_and_the_finalizer_goes_last(
    world: type[MemoryWorld], setting: str, names: str
) -> None:
    """Also where the Experiment owns its children: the garbage collector would delete them in any order."""
    made = deleted(settled(world, setting))
    assert made.settle() == [
        f"delete TestTrigger {names.format('trigger')}",
        f"delete TestWorkflow {names.format('workflow')}",
        f"delete ConfigMap {names.format('experiment')}",
        f"remove finalizer {FINALIZER}",
    ]
    assert made.plan().needed is False


def test_without_its_finalizer_a_deleted_experiment_is_left_to_the_garbage_collector(world: type[MemoryWorld]) -> None:
    made = deleted(settled(world, "."))
    made.metadata["finalizers"] = ["somebody/else"]
    assert made.plan().actions == ()
    assert made.plan().needed is False


ORDER = [TEST_TRIGGER, TEST_WORKFLOW, CONFIG_MAP]


@pytest.mark.parametrize("setting", ["testkube", "."])
@pytest.mark.parametrize("held", ORDER)
def test_nothing_is_deleted_before_what_goes_first_is_gone(
    world: type[MemoryWorld], setting: str, held: Resource
) -> None:
    made = settled(world, setting)
    child = made.child(held)
    child["metadata"]["finalizers"] = ["example.com/hold"]
    deleted(made).settle()
    place = ORDER.index(held)
    assert [ref.resource for ref in reversed(made.snapshot().own_children)] == ORDER[place:]
    said = f"Still there: {held} {child['metadata']['namespace']}/{child['metadata']['name']}."
    assert made.condition("Ready") == ("False", "CleanupPending", said)
    assert made.plan().needed is False
    made.objects = {ref: obj for ref, obj in made.objects.items() if obj is not child}
    assert len(made.settle()) == len(ORDER[place:])
    assert made.metadata["finalizers"] == []


def test_what_somebody_is_deleting_already_is_waited_for(world: type[MemoryWorld]) -> None:
    """By hand, or by a foreground deletion."""
    made = deleted(settled(world))
    made.child(CONFIG_MAP)["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert [action.ref.resource for action in made.plan().actions] == [TEST_TRIGGER, TEST_WORKFLOW]
    assert [resource["kind"] for resource in reported(made)] == ["ConfigMap"]


def reported(made: Any) -> list[dict[str, str]]:
    """The resources in the status as it will be."""
    return [resource.model_dump() for resource in made.plan().report.generated]


def test_what_is_gone_already_is_not_deleted(world: type[MemoryWorld]) -> None:
    made = settled(world)
    del made.objects[ObjectRef(TEST_WORKFLOW, "testkube", "weather-workflow.default")]
    assert [action.ref.resource for action in deleted(made).plan().actions[:-1]] == [TEST_TRIGGER, CONFIG_MAP]


def test_a_deletion_names_the_object_that_was_looked_at(world: type[MemoryWorld]) -> None:
    """Its uid goes into the call, so that one made meanwhile under the same name is left alone."""
    made = deleted(settled(world))
    for action in made.plan().actions[:-1]:
        assert action.live is not None
        assert action.live["metadata"]["uid"] == made.objects[action.ref]["metadata"]["uid"]


def test_nothing_is_created_for_a_deleted_experiment(world: type[MemoryWorld]) -> None:
    made = deleted(world(trigger={"enabled": True}))
    assert made.plan().actions == ()


def test_children_in_an_earlier_namespace_are_deleted_too(world: type[MemoryWorld]) -> None:
    made = settled(world)
    made.options = type(made.options)("other")
    assert [action.ref.namespace for action in deleted(made).plan().actions[:-1]] == ["testkube"] * 3


def test_a_spec_that_breaks_todays_rules_does_not_hold_a_deletion_up(world: type[MemoryWorld]) -> None:
    made = deleted(settled(world), defaultThreshold=2)
    assert len(made.plan().actions) == 4


def test_suspend_does_not_hold_a_deletion_up(world: type[MemoryWorld]) -> None:
    made = deleted(settled(world), suspend=True)
    assert len(made.plan().actions) == 4


def test_a_finalizer_that_has_to_stay_is_explained(world: type[MemoryWorld]) -> None:
    made = deleted(settled(world))
    found = made.plan({made.subject.ref: CleanupPending("Still there: ConfigMap a/b.")})
    assert found.actions == ()
    (ready,) = (c for c in found.report.conditions if c.type == "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", "CleanupPending", "Still there: ConfigMap a/b.")
