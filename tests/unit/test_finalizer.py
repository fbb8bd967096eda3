"""The finalizer is there exactly while children are where Kubernetes' garbage collector would not find them."""

from __future__ import annotations

from typing import Any

import pytest

FINALIZER = "testbench.agentic-layer.ai/cleanup"


def steps(made: Any) -> list[str]:
    return [str(action) for action in made.plan().actions]


def test_it_is_on_before_the_first_child(world: Any) -> None:
    assert steps(world())[0] == f"add finalizer {FINALIZER}"


def test_it_is_added_once(world: Any) -> None:
    made = world()
    made.settle()
    made.edit(defaultThreshold=0.5)
    assert f"add finalizer {FINALIZER}" not in steps(made)


def test_beside_its_children_an_experiment_needs_none(world: Any) -> None:
    assert f"add finalizer {FINALIZER}" not in steps(world("."))


def test_one_that_somebody_removed_comes_back(world: Any) -> None:
    made = world()
    made.settle()
    made.metadata["finalizers"].clear()
    assert steps(made) == [f"add finalizer {FINALIZER}"]


def test_one_that_guards_nothing_goes(world: Any) -> None:
    made = world(".")
    made.settle()
    made.metadata["finalizers"] = [FINALIZER]
    assert steps(made) == [f"remove finalizer {FINALIZER}"]


@pytest.mark.parametrize("setting", ["testkube", "."])
def test_never_while_deleting(world: Any, setting: str) -> None:
    made = world(setting)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    made.metadata["finalizers"] = ["somebody/else"]
    assert steps(made) == []


def test_others_finalizers_do_not_count(world: Any) -> None:
    made = world()
    made.metadata["finalizers"] = ["somebody/else"]
    assert steps(made)[0] == f"add finalizer {FINALIZER}"
