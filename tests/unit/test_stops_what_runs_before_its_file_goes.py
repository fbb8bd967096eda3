"""Before the ConfigMap of a deleted Experiment goes, its executions are aborted, where Testkube can be asked to.

An execution whose pod has yet to start would wait for the ConfigMap for ever.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from experiment_operator.settings import Watcher, Worker
from experiments.options import Options
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, Resource
from support.memory import MemoryWorld

FINALIZER = "testbench.agentic-layer.ai/cleanup"
ABORT = "abort executions of TestWorkflow testkube/weather-workflow.default"
CLEAN_UP = [
    "delete TestTrigger testkube/weather-trigger.default",
    "delete TestWorkflow testkube/weather-workflow.default",
    ABORT,
    "delete ConfigMap testkube/weather-experiment.default",
    f"remove finalizer {FINALIZER}",
]


def settled(world: type[MemoryWorld], setting: str = "testkube", **spec: Any) -> Any:
    """With an Experiment that has a trigger, of a service that can call Testkube's API."""
    made = world(setting, trigger={"enabled": True}, **spec)
    made.options = replace(made.options, aborts_executions=True)
    made.settle()
    return made


def planned(made: Any) -> list[str]:
    """What its deletion would do."""
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    return [str(action) for action in made.plan().actions]


def test_executions_are_aborted_once_none_can_begin_and_while_their_file_is_there(world: type[MemoryWorld]) -> None:
    assert planned(settled(world)) == CLEAN_UP


def test_beside_the_experiment_executions_are_aborted_too(world: type[MemoryWorld]) -> None:
    made = settled(world, "default")
    assert planned(made)[2] == "abort executions of TestWorkflow default/weather-workflow"


def test_where_testkube_cannot_be_called_nothing_is_aborted(world: type[MemoryWorld]) -> None:
    made = settled(world)
    made.options = Options()
    assert not [line for line in planned(made) if line.startswith("abort")]


@pytest.mark.parametrize(("policy", "expected"), [("Abort", CLEAN_UP), ("Orphan", [*CLEAN_UP[:2], *CLEAN_UP[3:]])])
def test_an_experiment_may_let_its_executions_go_on(world: type[MemoryWorld], policy: str, expected: list[str]) -> None:
    assert planned(settled(world, deletionPolicy=policy)) == expected


def test_the_policy_counts_that_is_there_when_it_is_deleted(world: type[MemoryWorld]) -> None:
    made = settled(world, deletionPolicy="Orphan")
    made.edit(deletionPolicy="Abort", suspend=True)
    assert planned(made) == CLEAN_UP
    made.edit(deletionPolicy="Orphan")
    assert ABORT not in planned(made)


def test_where_the_spec_cannot_be_understood_executions_are_aborted(world: type[MemoryWorld]) -> None:
    made = settled(world, deletionPolicy="Orphan")
    made.edit(defaultThreshold=2)
    assert planned(made) == CLEAN_UP


@pytest.mark.parametrize("role", [Watcher, Worker])
@pytest.mark.parametrize(("place", "asked"), [("testkube", True), (".", False)])
def test_where_names_come_again_in_every_namespace_testkube_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, role: type[Worker | Watcher], place: str, asked: bool
) -> None:
    """It goes by name, and would abort what runs of an Experiment of the same name elsewhere."""
    monkeypatch.setenv("TESTKUBE_API_URL", "http://testkube-api-server.testkube:8088")
    monkeypatch.setenv("TESTKUBE_NAMESPACE", place)
    assert role().options.aborts_executions is asked


def test_a_reconciliation_aborts_nothing(world: type[MemoryWorld]) -> None:
    made = settled(world)
    made.edit(trigger=None, llmAsAJudgeModel="gpt-4o")
    assert not [line for line in made.settle() if line.startswith("abort")]


@pytest.mark.parametrize("gone", [TEST_TRIGGER, TEST_WORKFLOW, CONFIG_MAP])
def test_executions_are_aborted_whatever_is_gone_already(world: type[MemoryWorld], gone: Resource) -> None:
    made = settled(world)
    del made.objects[next(ref for ref in made.subject.placement.children if ref.resource == gone)]
    assert planned(made) == [line for line in CLEAN_UP if f"delete {gone}" not in line]


def test_a_clean_up_that_goes_on_after_a_break_aborts_again(world: type[MemoryWorld]) -> None:
    """The worker was killed between the workflow's deletion and the abort."""
    made = settled(world)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    steps = made.steps()
    assert [str(next(steps)), str(next(steps))] == CLEAN_UP[:2]
    assert planned(made) == CLEAN_UP[2:]


def test_once_all_is_gone_nothing_is_aborted(world: type[MemoryWorld]) -> None:
    made = settled(world)
    for ref in made.subject.placement.children:
        del made.objects[ref]
    assert planned(made) == [f"remove finalizer {FINALIZER}"]


def test_a_workflow_that_somebody_else_made_is_not_stopped(world: type[MemoryWorld]) -> None:
    made = settled(world)
    ref = made.subject.placement.test_workflow
    made.put(TEST_WORKFLOW, ref.name, ref.namespace)
    assert ABORT not in planned(made)


def test_another_experiments_workflow_of_the_same_name_is_not_stopped(world: type[MemoryWorld]) -> None:
    """What is left in its own namespace from an earlier setting is called as that of an Experiment beside Testkube."""
    made = settled(world, ".")
    made.options = Options("testkube", aborts_executions=True)
    assert planned(made)[1:3] == ["delete TestWorkflow default/weather-workflow", ABORT]


def test_while_the_file_is_still_going_nothing_is_aborted_twice(world: type[MemoryWorld]) -> None:
    made = settled(world)
    made.child(CONFIG_MAP)["metadata"]["finalizers"] = ["example.com/hold"]
    assert ABORT in planned(made)
    made.settle()
    assert planned(made) == []
