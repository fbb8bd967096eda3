"""With a gate an execution has one phase more, the last; without one, everything is as it always was."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.options import Options, PhaseTemplates
from experiments.resources import TEST_WORKFLOW
from support.memory import MemoryWorld

PHASES = ["run-template", "evaluate-template", "publish-template", "visualize-template"]
GATE = {"enabled": True, "maxFailedMetrics": 2}


def gated(world: type[MemoryWorld], **spec: Any) -> Any:
    made = world(**{"gate": GATE, **spec})
    made.template("gate-template", "maxFailedMetrics")
    return made


@pytest.mark.parametrize(
    ("source", "phases"),
    [
        ({}, PHASES),
        ({"scenarios": None, "dataset": {"url": "https://data.example/a.json"}}, ["setup-template", *PHASES]),
    ],
)
def test_the_gate_comes_last_and_is_told_what_may_fail(
    world: type[MemoryWorld], source: dict[str, Any], phases: list[str]
) -> None:
    made = gated(world, **source)
    assert list(made.config()) == [*phases, "gate-template"]
    # As an expression for a text: a parser on its way could make a number of it.
    assert made.config()["gate-template"] == {"maxFailedMetrics": '{{"2"}}'}
    assert made.condition("Ready")[:2] == ("True", "Reconciled")


def test_without_a_number_nothing_may_fail(world: type[MemoryWorld]) -> None:
    assert gated(world, gate={"enabled": True}).config()["gate-template"] == {"maxFailedMetrics": '{{"0"}}'}


@pytest.mark.parametrize("gate", [{}, {"enabled": False}, {"maxFailedMetrics": 2}, {**GATE, "enabled": None}])
def test_without_a_gate_the_children_are_the_same_and_its_template_need_not_exist(
    world: type[MemoryWorld], gate: dict[str, Any]
) -> None:
    assert world(gate=gate).plan().manifests == world().plan().manifests
    assert world(gate=gate).condition("Ready")[:2] == ("True", "Reconciled")


def test_no_template_but_the_gates_is_told_what_may_fail(world: type[MemoryWorld]) -> None:
    made = world()
    made.template("visualize-template", "experimentName", "maxFailedMetrics")
    assert made.config()["visualize-template"] == {"experimentName": "weather"}


def test_the_gate_comes_and_goes_with_the_spec(world: type[MemoryWorld]) -> None:
    made = gated(world, gate=None)
    made.settle()
    change = f"change {made.subject.placement.test_workflow} (spec.use)"
    for gate, phases in ((GATE, [*PHASES, "gate-template"]), (None, PHASES)):
        made.edit(gate=gate)
        assert made.settle() == [change]
        assert [use["name"] for use in made.child(TEST_WORKFLOW)["spec"]["use"]] == phases


def test_the_name_of_its_template_is_a_setting(world: type[MemoryWorld]) -> None:
    made = gated(world)
    made.options = Options("testkube", PhaseTemplates(gate="strict-gate"))
    made.template("strict-gate", "maxFailedMetrics")
    assert list(made.config())[-1] == "strict-gate"


def test_a_gate_whose_template_is_missing_waits_for_it(world: type[MemoryWorld]) -> None:
    status, reason, message = world(gate=GATE).condition("WorkflowReady")
    assert (status, reason) == ("False", "TemplateMissing")
    assert message == "TestWorkflowTemplate gate-template does not exist in namespace testkube."


def test_a_template_that_cannot_be_told_what_may_fail_is_refused(world: type[MemoryWorld]) -> None:
    made = gated(world)
    made.template("gate-template", "limit")
    status, reason, message = made.condition("WorkflowReady")
    assert (status, reason) == ("False", "TemplateMismatch")
    assert "does not declare the parameter maxFailedMetrics" in message
