"""The finalizer is on while there are children, wherever they are: their deletion has an order, and the garbage
collector knows none.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.memory import MemoryWorld

FINALIZER = "testbench.agentic-layer.ai/cleanup"


def steps(made: Any) -> list[str]:
    return [str(action) for action in made.plan().actions]


@pytest.mark.parametrize("setting", ["testkube", "."])
def test_the_finalizer_is_on_before_the_first_child(world: type[MemoryWorld], setting: str) -> None:
    assert steps(world(setting))[0] == f"add finalizer {FINALIZER}"


@pytest.mark.parametrize("setting", ["testkube", "."])
def test_the_finalizer_is_added_once(world: type[MemoryWorld], setting: str) -> None:
    made = world(setting)
    made.settle()
    made.edit(defaultThreshold=0.5)
    assert made.metadata["finalizers"] == [FINALIZER]
    assert f"add finalizer {FINALIZER}" not in steps(made)


@pytest.mark.parametrize("setting", ["testkube", "."])
def test_a_finalizer_that_somebody_removed_comes_back(world: type[MemoryWorld], setting: str) -> None:
    made = world(setting)
    made.settle()
    made.metadata["finalizers"].clear()
    assert steps(made) == [f"add finalizer {FINALIZER}"]


@pytest.mark.parametrize("setting", ["testkube", "."])
def test_no_finalizer_is_added_to_what_is_being_deleted(world: type[MemoryWorld], setting: str) -> None:
    made = world(setting)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    made.metadata["finalizers"] = ["somebody/else"]
    assert steps(made) == []


def test_finalizers_of_others_do_not_count(world: type[MemoryWorld]) -> None:
    made = world()
    made.metadata["finalizers"] = ["somebody/else"]
    assert steps(made)[0] == f"add finalizer {FINALIZER}"
