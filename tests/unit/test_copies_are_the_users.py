"""What carries the marks of a child without being the one that they were written for is nobody's of this service."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from experiments.names import OBJECT_ANNOTATION
from experiments.resources import TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef
from support.memory import MemoryWorld


def copied(made: Any, name: str, namespace: str = "testkube") -> ObjectRef:
    twin = copy.deepcopy(made.child(TEST_WORKFLOW))
    twin["metadata"] |= {"name": name, "namespace": namespace, "uid": "another"}
    ref = ObjectRef(TEST_WORKFLOW, namespace, name)
    made.objects[ref] = twin
    return ref


@pytest.mark.parametrize("namespace", ["testkube", "default", "elsewhere"])
def test_a_copy_is_in_no_plan(world: type[MemoryWorld], namespace: str) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    ref = copied(made, "mine", namespace)
    assert made.plan().needed is False
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert ref not in {action.ref for action in made.plan().actions}


def test_a_copy_under_the_name_of_a_child_is_a_conflict(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    ref = copied(made, "sunny-workflow.default")
    made.experiment["metadata"]["name"] = "sunny"
    made.experiment["metadata"]["uid"] = "exp-2"
    made.experiment.pop("status")
    assert made.condition("Ready")[1] == "NameConflict"
    assert ref not in {action.ref for action in made.plan().actions if action.step.startswith(("apply", "delete"))}


def test_a_child_from_before_there_was_that_mark_is_still_ours(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    for resource in (CONFIG_MAP, TEST_WORKFLOW):
        del made.child(resource)["metadata"]["annotations"][OBJECT_ANNOTATION]
    for resource in made.status["generatedResources"]:
        del resource["uid"]
    assert [action.step for action in made.plan().actions] == ["apply_config_map", "apply_test_workflow"]
    made.settle()
    assert made.plan().needed is False
