"""A TestTrigger never exists without its TestWorkflow: not between two steps, and not after a run that broke off.

Where one does, Testkube drops other triggers of the same event, at random.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.errors import Rejected
from experiments.options import Options
from experiments.resources import AGENT, TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from kube.objects import CONFIG_MAP, ObjectRef
from support.memory import MemoryWorld

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
WANTED = {"enabled": True}
TEMPLATES = ("run-template", "evaluate-template", "publish-template", "visualize-template")

Change: TypeAlias = Callable[[Any], object]


def dangling(made: Any) -> list[str]:
    """The triggers whose workflow is not there."""
    triggers = [(ref, obj["spec"]["testSelector"]) for ref, obj in made.objects.items() if ref.resource == TEST_TRIGGER]
    return [
        str(ref)
        for ref, selector in triggers
        if ObjectRef(TEST_WORKFLOW, selector["namespace"], selector["name"]) not in made.objects
    ]


def walk(made: Any, steps: int | None = None) -> int:
    """Takes so many steps of one run, all by default, and looks after each. Returns how many there were."""
    taken = 0
    for action in itertools.islice(made.steps(), steps):
        assert dangling(made) == [], f"after: {action}"
        taken += 1
    if steps is None:
        made.report()
    return taken


def move(made: Any, place: str) -> None:
    made.options = Options(place)
    for name in TEMPLATES:
        made.template(name)


def without_template(made: Any) -> None:
    for ref in [ref for ref in made.objects if ref.name == "run-template"]:
        del made.objects[ref]


def delete(made: Any) -> None:
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"


def hold(*kinds: Any) -> Change:
    """Somebody's finalizers, which stay for the time of the test."""

    def change(made: Any) -> None:
        for ref in made.snapshot().own_children:
            if ref.resource in kinds:
                made.objects[ref]["metadata"]["finalizers"] = ["example.com/hold"]

    return change


CHANGES: dict[str, list[Change]] = {
    "nothing": [],
    "trigger-off": [lambda made: made.edit(trigger=None)],
    "trigger-off-and-gateway-missing": [lambda made: made.edit(trigger=None, aiGatewayRef={"name": "missing"})],
    "another-agent": [lambda made: made.edit(agentRef={"name": "other"})],
    "template-missing": [without_template, lambda made: made.edit(agentRef={"name": "other"})],
    "suspended": [lambda made: made.edit(suspend=True)],
    "moved": [lambda made: move(made, "tests")],
    "moved-beside": [lambda made: move(made, "default")],
    "moved-to-where-no-template-is": [lambda made: move(made, "tests"), without_template],
    "moved-while-held": [hold(TEST_TRIGGER), lambda made: move(made, "tests")],
    "deleted": [delete],
    "deleted-while-held": [hold(TEST_TRIGGER, TEST_WORKFLOW), delete],
    "deleted-while-suspended": [lambda made: made.edit(suspend=True), delete],
    "deleted-after-a-move": [lambda made: move(made, "tests"), delete],
    "deleted-although-unreadable": [lambda made: made.edit(defaultThreshold=2), delete],
}


@pytest.mark.parametrize("place", ["testkube", "."])
@pytest.mark.parametrize("change", CHANGES)
def test_at_no_step_of_any_plan_is_there_a_trigger_without_its_workflow(
    world: type[MemoryWorld], place: str, change: str
) -> None:
    """Each prefix of the actions is one where the worker was killed; the next run starts from what is there."""
    for broken_after in itertools.count():
        made = world(place, trigger=WANTED)
        walk(made)
        for each in CHANGES[change]:
            each(made)
        taken = walk(made, broken_after)
        walk(made)
        assert made.plan().actions == ()
        if taken < broken_after:
            return


@pytest.mark.parametrize("place", ["testkube", "."])
def test_at_no_step_of_a_creation_is_there_a_trigger_without_its_workflow(world: type[MemoryWorld], place: str) -> None:
    for broken_after in range(5):
        made = world(place, trigger=WANTED)
        assert walk(made, broken_after) == broken_after
        walk(made)
        assert len(made.children()) == 3


def test_a_trigger_is_not_created_where_its_workflow_could_not_be(world: type[MemoryWorld]) -> None:
    made = world(trigger=WANTED)
    found = made.plan({made.subject.placement.test_workflow: Rejected("no")})
    assert TEST_TRIGGER not in {action.ref.resource for action in found.actions}


@pytest.mark.parametrize("place", ["testkube", "."])
def test_a_workflow_that_somebody_deleted_is_made_again_for_its_trigger(world: type[MemoryWorld], place: str) -> None:
    made = world(place, trigger=WANTED)
    made.settle()
    ref = made.subject.placement.test_workflow
    del made.objects[ref]
    assert made.settle() == [f"create {ref}"]


@pytest.mark.parametrize("place", ["testkube", "."])
def test_a_trigger_whose_workflow_is_gone_and_cannot_be_made_goes_too(world: type[MemoryWorld], place: str) -> None:
    made = world(place, trigger=WANTED)
    made.settle()
    workflow, trigger = made.subject.placement.test_workflow, made.subject.placement.test_trigger
    del made.objects[workflow]
    without_template(made)
    assert made.settle() == [f"delete {trigger}"]
    assert made.condition("TriggerReady")[:2] == ("False", "TemplateMissing")
    assert made.plan().needed is False
    move(made, place)
    assert made.settle() == [f"create {workflow}", f"create {trigger}"]


def test_a_trigger_does_not_wait_for_a_workflow_that_is_going(world: type[MemoryWorld]) -> None:
    """Somebody deletes the workflow and a finalizer holds it: until it is made again there is none to start."""
    made = world(trigger=WANTED)
    made.settle()
    made.child(TEST_WORKFLOW)["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert made.settle() == [f"delete {made.subject.placement.test_trigger}"]


def test_a_trigger_whose_workflow_could_not_be_written_again_is_kept(world: type[MemoryWorld]) -> None:
    """What is there still runs, although it is not as the Experiment says."""
    made = world(trigger=WANTED)
    made.settle()
    made.edit(agentRef={"name": "other"}, aiGatewayRef={"name": "missing"})
    assert made.settle() == []
    assert dangling(made) == []
    assert len(made.children()) == 3


PLACES = st.sampled_from(["testkube", "tests", ".", "default"])
STATES = st.fixed_dictionaries(
    {
        "place": PLACES,
        "spec": st.fixed_dictionaries(
            {
                "trigger": st.sampled_from([None, WANTED, WANTED, {**WANTED, "concurrencyPolicy": "Forbid"}]),
                "agentRef": st.sampled_from([{"name": "agent"}, {"name": "other"}]),
                "aiGatewayRef": st.sampled_from([None, None, {"name": "missing"}]),
                "suspend": st.sampled_from([None, None, True]),
            }
        ),
        "without": st.sampled_from([None, None, *TEMPLATES]),
        "unserved": st.sampled_from([set(), set(), set(), {AGENT}, {TEST_TRIGGER}]),
        "held": st.sets(st.sampled_from([CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER]), max_size=2),
        "deleted": st.sampled_from([False, False, False, True]),
        "broken_after": st.none() | st.integers(0, 6),
    }
)


def become(made: Any, state: dict[str, Any]) -> None:
    move(made, state["place"])
    made.edit(**state["spec"])
    made.unserved = set(state["unserved"])
    hold(*state["held"])(made)
    template = ObjectRef(TEST_WORKFLOW_TEMPLATE, made.subject.placement.namespace, state["without"])
    made.objects.pop(template, None)
    if state["deleted"]:
        delete(made)


@PROPERTY
@given(states=st.lists(STATES, min_size=1, max_size=4))
def test_whatever_changes_between_runs_that_break_off(world: type[MemoryWorld], states: list[dict[str, Any]]) -> None:
    made = world()
    for state in states:
        become(made, state)
        walk(made, state["broken_after"])
