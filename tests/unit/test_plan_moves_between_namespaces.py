"""Moving TESTKUBE_NAMESPACE, or switching to each Experiment's own, leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiments.errors import Forbidden
from experiments.options import Options
from experiments.plan import plan
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from kube.objects import CONFIG_MAP, ObjectRef
from support.memory import MemoryWorld

PLACES = ["testkube", "tests", ".", "default"]
FINALIZER = "testbench.agentic-layer.ai/cleanup"


def move(made: Any, target: str) -> None:
    made.options = Options(target)
    for name in ("setup", "run", "evaluate", "publish", "visualize"):
        made.template(f"{name}-template")


def settled(world: type[MemoryWorld], place: str) -> Any:
    made = world(place, trigger={"enabled": True})
    made.settle()
    return made


def test_the_new_ones_come_first_and_the_old_ones_go_in_reverse(world: type[MemoryWorld]) -> None:
    made = settled(world, "testkube")
    move(made, "tests")
    assert made.settle() == [
        "create ConfigMap tests/weather-experiment.default",
        "create TestWorkflow tests/weather-workflow.default",
        "create TestTrigger tests/weather-trigger.default",
        "delete TestTrigger testkube/weather-trigger.default",
        "delete TestWorkflow testkube/weather-workflow.default",
        "delete ConfigMap testkube/weather-experiment.default",
    ]


@pytest.mark.parametrize("target", PLACES)
@pytest.mark.parametrize("origin", PLACES)
def test_one_run_is_enough_from_anywhere_to_anywhere(world: type[MemoryWorld], origin: str, target: str) -> None:
    made = settled(world, origin)
    move(made, target)
    made.settle()
    assert made.plan().needed is False
    namespace = Options(target).testkube_namespace_for("default")
    assert {child["metadata"]["namespace"] for child in made.children()} == {namespace}
    assert {resource["namespace"] for resource in made.status["generatedResources"]} == {namespace}
    assert made.metadata["finalizers"] == [FINALIZER]


def test_a_move_begins_with_a_finalizer_that_was_lost(world: type[MemoryWorld]) -> None:
    made = settled(world, "testkube")
    made.metadata["finalizers"].clear()
    move(made, ".")
    assert made.settle()[0] == f"add finalizer {FINALIZER}"
    assert made.plan().needed is False


@pytest.mark.parametrize(
    ("held", "left"),
    [
        (TEST_TRIGGER, [TEST_TRIGGER, TEST_WORKFLOW, CONFIG_MAP]),
        (TEST_WORKFLOW, [TEST_WORKFLOW, CONFIG_MAP]),
        (CONFIG_MAP, [CONFIG_MAP]),
    ],
)
def test_what_is_still_going_in_the_old_place_keeps_what_it_needs(
    world: type[MemoryWorld], held: Any, left: list[str]
) -> None:
    made = settled(world, "testkube")
    made.child(held)["metadata"]["finalizers"] = ["example.com/hold"]
    ref = next(ref for ref in made.subject.placement.children if ref.resource == held)
    move(made, "tests")
    made.settle()
    old = [ref for ref in made.snapshot().own_children if ref.namespace == "testkube"]
    assert [ref.resource for ref in reversed(old)] == left
    assert made.plan().actions == ()
    assert made.condition("Ready") == ("False", "CleanupPending", f"Still there: {ref}.")
    del made.objects[ref]
    made.settle()
    assert {child["metadata"]["namespace"] for child in made.children()} == {"tests"}
    assert made.condition("Ready")[:2] == ("True", "Reconciled")


def test_the_old_ones_stay_until_the_new_ones_can_work(world: type[MemoryWorld]) -> None:
    made = settled(world, "testkube")
    move(made, "tests")
    del made.objects[ObjectRef(TEST_WORKFLOW_TEMPLATE, "tests", "run-template")]
    assert [str(action) for action in made.plan().actions] == ["create ConfigMap tests/weather-experiment.default"]


@pytest.mark.parametrize("suspend", [False, True])
def test_what_may_not_be_read_there_is_not_forgotten(world: type[MemoryWorld], suspend: bool) -> None:
    """For all that is known, Testkube's cron goes on with it."""
    made = settled(world, "testkube")
    old = made.subject.placement.children
    move(made, "tests")
    made.edit(suspend=suspend)
    refused = {ref: Forbidden(f"may not read {ref}") for ref in old}
    for ref in old:
        del made.objects[ref]
    remembered = made.experiment["status"]
    for _ in range(2):  # before the new ones are there, and after
        made.experiment["status"] = remembered
        report = plan(replace(made.snapshot(), refused=refused)).report
        ready = next(condition for condition in report.conditions if condition.type == "Ready")
        assert {ref.name for ref in old} <= {each.name for each in report.generated if each.namespace == "testkube"}
        assert (ready.status, ready.reason) == ("False", "Suspended" if suspend else "Forbidden")
        assert suspend or all(str(ref) in ready.message for ref in old)
        made.settle()


def test_another_experiments_children_there_are_left_alone(world: type[MemoryWorld]) -> None:
    made = settled(world, "testkube")
    other = ObjectRef(made.subject.placement.config_map.resource, "testkube", "other-experiment.default")
    made.objects[other] = {
        **made.objects[made.subject.placement.config_map],
        "metadata": {"name": other.name, "namespace": "testkube", "uid": "other"},
    }
    move(made, "tests")
    made.settle()
    assert other in made.objects
