"""Conditions as other tools expect them: dated by the change of their status, and side by side with others'."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.conditions import (
    ConditionType,
    Reason,
    Report,
    condition,
    evaluated,
    executions_observed,
    generated,
    with_conditions,
)
from experiments.errors import BY_REASON, Retryable, Terminal
from experiments.models import ExperimentStatus, LastReconciliation
from kube.objects import CONFIG_MAP, ObjectRef
from support.memory import MemoryWorld

LATER = "2026-11-24T00:00:00Z"
FOREIGN = {
    "type": "Approved",
    "status": "True",
    "reason": "Manager",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def written(made: Any, time: str) -> dict[str, Any]:
    """What a run at `time` would write."""
    run = LastReconciliation(workflow_id="w", run_id="r", time=time)
    patch: dict[str, Any] = made.plan().report.status(made.subject.status, run)["status"]
    return patch


def times(conditions: list[dict[str, Any]]) -> dict[str, str]:
    return {c["type"]: c["lastTransitionTime"] for c in conditions}


def test_conditions_of_a_new_experiment(world: type[MemoryWorld]) -> None:
    found = written(world(trigger={"enabled": True}), LATER)
    assert [c["type"] for c in found["conditions"]] == ["AgentResolved", "WorkflowReady", "TriggerReady", "Ready"]
    assert {c["lastTransitionTime"] for c in found["conditions"]} == {LATER}
    assert {c["observedGeneration"] for c in found["conditions"]} == {1}
    assert all(c["message"] for c in found["conditions"])


def test_the_transition_time_moves_only_with_the_status(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    before = times(made.status["conditions"])
    made.agent(spec={"protocols": [{"type": "A2A"}]})
    made.edit(aiGatewayRef={"name": "missing"}, agentRef={"name": "agent"})
    after = times(written(made, LATER)["conditions"])
    assert after == {"AgentResolved": LATER, "WorkflowReady": LATER, "Reconciling": LATER, "Ready": LATER}
    assert LATER not in before.values()
    made.report()
    # The message changes now, the status does not.
    made.edit(aiGatewayRef={"name": "missing-too"})
    found = written(made, LATER)["conditions"]
    assert LATER not in times(found).values()
    assert "missing-too" in next(c["message"] for c in found if c["type"] == "Ready")


def test_others_conditions_survive(world: type[MemoryWorld]) -> None:
    made = world()
    made.status["conditions"] = [FOREIGN]
    assert written(made, LATER)["conditions"][0] == FOREIGN
    made.settle()
    assert FOREIGN in made.status["conditions"]
    assert made.plan().needed is False
    made.status["conditions"].append({**FOREIGN, "type": "AlsoForeign"})
    assert made.plan().needed is False


def test_a_trigger_that_is_not_wanted_any_more_has_no_condition(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    made.edit(trigger=None)
    made.settle()
    assert "TriggerReady" not in times(made.status["conditions"])


def test_the_worst_problem_gives_the_reason_and_all_are_named(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={"name": "missing"}, schedule={"cron": "0 0 30 2 *"})
    problems = made.plan().problems
    assert [problem.reason for problem in problems] == ["InvalidSchedule", "GatewayMissing"]
    assert made.condition("Ready")[1:] == ("InvalidSchedule", f"{problems[0]} {problems[1]}")


def test_the_status_lists_what_there_is(world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True})
    made.settle()
    assert made.status["generatedResources"] == [
        {
            "apiVersion": child["apiVersion"],
            "kind": child["kind"],
            "name": f"weather-{suffix}.default",
            "namespace": "testkube",
            "uid": child["metadata"]["uid"],
        }
        for child, suffix in zip(made.children(), ("experiment", "workflow", "trigger"), strict=True)
    ]


def test_a_child_that_was_made_anew_is_remembered_by_its_new_uid(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    made.child(CONFIG_MAP)["metadata"]["uid"] = "another"
    assert made.plan().needed
    made.settle()
    assert made.status["generatedResources"][0]["uid"] == "another"
    assert made.plan().needed is False


def test_what_waits_is_reconciling_and_what_needs_a_person_is_stalled(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={"name": "missing"})
    assert made.condition("Reconciling")[:2] == ("True", "GatewayMissing")
    made.edit(schedule={"cron": "0 0 30 2 *"})
    assert made.condition("Stalled")[:2] == ("True", "InvalidSchedule")
    made.edit(schedule=None, aiGatewayRef=None)
    assert not {"Stalled", "Reconciling"} & {c.type for c in made.plan().report.conditions}


@pytest.mark.parametrize(
    ("status", "news"),
    [
        ({}, False),
        ({"observedGeneration": 2}, True),
        ({"agentUrl": "http://other"}, True),
        ({"generatedResources": []}, True),
        ({"conditions": []}, True),
        ({"lastExecution": {"status": "passed"}}, False),
        ({"lastReconciliation": {"workflowId": "a", "runId": "b", "time": LATER}}, False),
    ],
)
def test_only_what_is_said_differently_is_news(status: dict[str, Any], news: bool) -> None:
    report = Report(3, (condition(ConditionType.READY, True, "Reconciled", "Fine."),), (), "http://agent", None)
    child = generated(ObjectRef(CONFIG_MAP, "testkube", "a"), None)
    report = Report(3, report.conditions, (child,), "http://agent", None)
    run = LastReconciliation(workflow_id="w", run_id="r", time="2026-11-23T00:00:00Z")
    said = {**report.status(ExperimentStatus(), run)["status"], **status}
    assert report.differs_from(ExperimentStatus.model_validate(said)) is news


def test_what_executions_came_to_is_kept_and_is_no_affair_of_a_reconciliation(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    said = [evaluated("Failed", "3 of 20 metrics failed."), executions_observed("Testkube does not answer.")]
    made.experiment["status"]["conditions"] = with_conditions(made.experiment, said, LATER)
    kept = made.experiment["status"]["conditions"][-2:]
    assert [(each["type"], each["status"]) for each in kept] == [
        ("Evaluated", "False"),
        ("ExecutionsObserved", "False"),
    ]
    assert made.plan().needed is False
    made.edit(suspend=True)
    made.settle()
    conditions = made.experiment["status"]["conditions"]
    assert conditions[:2] == kept
    assert {each["type"]: each["reason"] for each in conditions}["Ready"] == "Suspended"


def test_a_requested_run_is_honoured_once(world: type[MemoryWorld]) -> None:
    made = world()
    made.settle()
    made.metadata["annotations"] = {"testbench.agentic-layer.ai/requested-at": "now"}
    assert made.plan().needed
    assert made.settle() == []
    assert made.plan().needed is False
    made.metadata["annotations"]["testbench.agentic-layer.ai/requested-at"] = "again"
    assert made.plan().needed


def test_every_error_is_a_reason() -> None:
    assert set(BY_REASON) < set(Reason)
    assert all(issubclass(problem, Terminal | Retryable) for problem in BY_REASON.values())


@pytest.mark.parametrize("name", ["Terminal", "Retryable", "Problem"])
def test_only_leaves_are_reasons(name: str) -> None:
    assert name not in BY_REASON


def test_a_message_is_never_longer_than_a_status_can_hold() -> None:
    assert len(condition(ConditionType.READY, False, "InvalidSpec", "x" * 40000).message) == 32768
