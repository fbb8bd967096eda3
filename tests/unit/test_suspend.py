"""A suspended Experiment is left as it is, and says so."""

from __future__ import annotations

from typing import Any

from experiments.resources import TEST_TRIGGER
from kube.objects import CONFIG_MAP
from support.memory import MemoryWorld


def suspended(world: type[MemoryWorld]) -> Any:
    made = world(trigger={"enabled": True})
    made.agent(status={"url": "http://agent:8000"})
    made.settle()
    made.edit(suspend=True)
    return made


def test_for_a_suspended_experiment_nothing_is_created(world: type[MemoryWorld]) -> None:
    assert world(suspend=True).plan().actions == ()


def test_nothing_is_repaired_changed_or_deleted(world: type[MemoryWorld]) -> None:
    made = suspended(world)
    made.child(CONFIG_MAP)["data"] = {}
    del made.objects[made.subject.placement.test_trigger]
    made.edit(trigger={"enabled": False}, defaultThreshold=0.1)
    made.agent(status={"url": "http://new:8000"})
    assert made.plan().actions == ()


def test_the_status_says_so_and_keeps_what_it_said(world: type[MemoryWorld]) -> None:
    made = suspended(world)
    before = {c["type"]: c for c in made.status["conditions"]}
    made.settle()
    after = {c["type"]: c for c in made.status["conditions"]}
    assert (after["Ready"]["status"], after["Ready"]["reason"]) == ("False", "Suspended")
    for kind in ("AgentResolved", "WorkflowReady", "TriggerReady"):
        assert after[kind] == {**before[kind], "observedGeneration": 2}
    assert made.status["observedGeneration"] == 2
    assert made.status["agentUrl"] == "http://agent:8000"
    assert len(made.status["generatedResources"]) == 3


def test_then_there_is_nothing_more_to_do(world: type[MemoryWorld]) -> None:
    made = suspended(world)
    made.settle()
    assert made.plan().needed is False


def test_afterwards_everything_is_caught_up_with(world: type[MemoryWorld]) -> None:
    made = suspended(world)
    made.settle()
    del made.objects[made.subject.placement.test_trigger]
    made.edit(suspend=False)
    assert made.settle() == [f"create {made.subject.placement.test_trigger}"]
    assert made.child(TEST_TRIGGER)
    assert made.condition("Ready")[:2] == ("True", "Reconciled")
