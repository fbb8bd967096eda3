"""A deleted Experiment takes its children along, the trigger first: Testkube drops other triggers of an event when the
workflow of one is missing.
"""

from __future__ import annotations

from typing import Any

from experiments.errors import CleanupPending
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef

FINALIZER = "testbench.agentic-layer.ai/cleanup"


def deleted(made: Any, **spec: Any) -> Any:
    made.edit(**spec)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    return made


def settled(world: Any, *args: Any) -> Any:
    made = world(*args, trigger={"enabled": True})
    made.settle()
    return made


def test_elsewhere(world: Any) -> None:
    made = deleted(settled(world))
    assert made.settle() == [
        "delete TestTrigger testkube/weather-trigger.default",
        "delete TestWorkflow testkube/weather-workflow.default",
        "delete ConfigMap testkube/weather-experiment.default",
        f"remove finalizer {FINALIZER}",
    ]
    assert made.plan().needed is False


def test_beside_it_the_garbage_collector_does_it(world: Any) -> None:
    made = deleted(settled(world, "."))
    assert made.plan().actions == ()
    assert made.plan().needed is False


def test_what_is_gone_already_is_not_deleted(world: Any) -> None:
    made = settled(world)
    del made.objects[ObjectRef(TEST_WORKFLOW, "testkube", "weather-workflow.default")]
    assert [action.ref.resource for action in deleted(made).plan().actions[:-1]] == [TEST_TRIGGER, CONFIG_MAP]


def test_a_deletion_names_the_object_that_was_looked_at(world: Any) -> None:
    """Its uid goes into the call, so that one made meanwhile under the same name is left alone."""
    made = deleted(settled(world))
    for action in made.plan().actions[:-1]:
        assert action.live is not None
        assert action.live["metadata"]["uid"] == made.objects[action.ref]["metadata"]["uid"]


def test_nothing_is_created_for_it(world: Any) -> None:
    made = deleted(world(trigger={"enabled": True}))
    assert made.plan().actions == ()


def test_children_elsewhere_than_today_are_deleted_too(world: Any) -> None:
    made = settled(world)
    made.options = type(made.options)("other")
    assert [action.ref.namespace for action in deleted(made).plan().actions[:-1]] == ["testkube"] * 3


def test_a_spec_that_breaks_todays_rules_does_not_hold_it_up(world: Any) -> None:
    made = deleted(settled(world), defaultThreshold=2)
    assert len(made.plan().actions) == 4


def test_neither_does_suspend(world: Any) -> None:
    made = deleted(settled(world), suspend=True)
    assert len(made.plan().actions) == 4


def test_a_finalizer_that_has_to_stay_is_explained(world: Any) -> None:
    made = deleted(settled(world))
    found = made.plan({made.subject.ref: CleanupPending("Still there: ConfigMap a/b.")})
    assert found.actions == ()
    (ready,) = (c for c in found.report.conditions if c.type == "Ready")
    assert (ready.status, ready.reason, ready.message) == ("False", "CleanupPending", "Still there: ConfigMap a/b.")
