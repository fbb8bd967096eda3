"""What is left of an Experiment that went without its finalizer is taken away in order; what is to stay is released."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.plan import Plan, plan
from experiments.snapshot import Snapshot, Subject
from support.memory import MemoryWorld


def settled(world: type[MemoryWorld], place: str = "testkube") -> Any:
    made = world(place, trigger={"enabled": True})
    made.settle()
    return made


def of_gone(made: Any) -> Plan:
    meta = made.subject.meta
    subject = Subject.of_gone(meta.namespace, meta.name, meta.uid, made.options)
    return plan(Snapshot(subject, made.snapshot().objects))


def test_it_is_deleted_in_the_order_of_any_deletion_without_a_finalizer_to_remove(world: type[MemoryWorld]) -> None:
    assert [action.step for action in of_gone(settled(world)).actions] == [
        "delete_test_trigger",
        "delete_test_workflow",
        "delete_config_map",
    ]


def test_copies_of_a_child_without_an_experiment_stay(world: type[MemoryWorld]) -> None:
    made = settled(world)
    for ref in list(made.objects):
        if ref in made.subject.placement.children:
            made.objects[ref]["metadata"]["annotations"]["testbench.agentic-layer.ai/object"] = "testkube/another"
    assert of_gone(made).actions == ()


def test_orphans_are_released_and_then_the_finalizer(world: type[MemoryWorld]) -> None:
    made = settled(world)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    snapshot = made.snapshot()
    found = plan(replace(snapshot, subject=replace(snapshot.subject, orphaning=True)))
    assert [action.step for action in found.actions] == [
        "release_config_map",
        "release_test_workflow",
        "release_test_trigger",
        "remove_finalizer",
    ]


def test_an_orphan_that_was_released_is_not_released_again(world: type[MemoryWorld]) -> None:
    made = settled(world)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    for child in made.children():
        child["metadata"]["labels"].clear()
        child["metadata"]["annotations"].clear()
    snapshot = made.snapshot()
    found = plan(replace(snapshot, subject=replace(snapshot.subject, orphaning=True)))
    assert [action.step for action in found.actions] == ["remove_finalizer"]
