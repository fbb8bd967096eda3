"""Why a run began, in words that a person finds again in the Temporal UI."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.options import Options
from experiments.reasons import kind_of, reasons
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from kube.objects import CONFIG_MAP, ObjectRef, Resource
from support.memory import MemoryWorld

REQUESTED_AT = "testbench.agentic-layer.ai/requested-at"


@pytest.fixture
def settled(world: type[MemoryWorld]) -> Any:
    made = world(trigger={"enabled": True})
    made.agent(status={"url": "http://agent:8000"})
    made.settle()
    return made


def why(made: Any) -> list[str]:
    found = reasons(made.plan())
    assert not found or kind_of(found) != "other"  # metrics count by it
    return found


def edit_by(made: Any, resource: Resource, *managers: tuple[str, str]) -> None:
    child = made.child(resource)
    child["data" if resource == CONFIG_MAP else "spec"] = {}
    child["metadata"]["managedFields"] = [{"manager": manager, "time": time} for manager, time in managers]


def test_there_is_no_reason_for_a_settled_experiment(settled: Any) -> None:
    assert why(settled) == []


def test_a_new_generation_says_it_all(world: type[MemoryWorld], settled: Any) -> None:
    assert why(world()) == ["generation 1"]
    settled.edit(agentRef={"name": "other"})
    assert why(settled) == ["generation 2"]


@pytest.mark.parametrize("resource", [CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER])
def test_a_deleted_child_is_a_reason(settled: Any, resource: Resource) -> None:
    ref = next(ref for ref in settled.subject.placement.children if ref.resource == resource)
    del settled.objects[ref]
    assert f"{resource.kind} deleted" in why(settled)


def test_a_child_that_never_was_is_a_reason(settled: Any) -> None:
    del settled.objects[settled.subject.placement.test_trigger]
    settled.status["generatedResources"].pop()
    assert why(settled) == ["TestTrigger missing"]


@pytest.mark.parametrize(
    ("managers", "editor"),
    [
        ([("experiment-operator", "2026-01-01"), ("kubectl-edit", "2026-01-02")], "kubectl-edit"),
        ([("kubectl-edit", "2026-01-02"), ("helm", "2026-01-03"), ("experiment-operator", "2026-01-01")], "helm"),
        ([("experiment-operator", "2026-01-01"), ("kubectl-edit", "2026-01-01")], "kubectl-edit"),
        ([("kubectl-edit", "2026-01-01"), ("experiment-operator", "2026-01-02")], "somebody"),
        ([], "somebody"),
    ],
)
def test_a_reason_says_who_edited_a_child(settled: Any, managers: list[tuple[str, str]], editor: str) -> None:
    edit_by(settled, CONFIG_MAP, *managers)
    assert why(settled) == [f"ConfigMap edited by {editor}"]


def test_who_wrote_a_status_did_not_edit(settled: Any) -> None:
    edit_by(settled, TEST_WORKFLOW, ("kubectl-edit", "2026-01-01"))
    fields = settled.child(TEST_WORKFLOW)["metadata"]["managedFields"]
    fields.append({"manager": "testkube", "time": "2026-01-02", "subresource": "status"})
    assert why(settled) == ["TestWorkflow edited by kubectl-edit"]


def test_a_change_of_the_agents_url_is_a_reason(settled: Any) -> None:
    settled.agent(status={"url": "http://new:8000"})
    assert why(settled) == ["agent URL changed"]


def test_other_things_that_it_depends_on(settled: Any) -> None:
    settled.otel_config("http://otel:4318")
    assert why(settled) == ["TestWorkflow out of date"]


def test_a_request_is_a_reason(settled: Any) -> None:
    settled.metadata["annotations"] = {REQUESTED_AT: "now"}
    assert why(settled) == ["requested"]
    settled.edit(defaultThreshold=0.1)
    assert why(settled) == ["generation 2", "requested"]


def test_several_reasons_are_told_at_once(settled: Any) -> None:
    settled.metadata["annotations"] = {REQUESTED_AT: "now"}
    edit_by(settled, CONFIG_MAP, ("kubectl-edit", "2026-01-02"))
    del settled.objects[settled.subject.placement.test_trigger]
    assert why(settled) == ["requested", "ConfigMap edited by kubectl-edit", "TestTrigger deleted"]


def test_a_deletion_is_a_reason(settled: Any) -> None:
    settled.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert why(settled) == ["deleted"]


def test_what_is_newly_in_the_way_is_a_reason(settled: Any) -> None:
    del settled.objects[ObjectRef(TEST_WORKFLOW_TEMPLATE, "testkube", "run-template")]
    assert why(settled) == [
        "WorkflowReady is TemplateMissing",
        "TriggerReady is TemplateMissing",
        "Ready is TemplateMissing",
    ]


def test_a_message_alone_makes_a_status_out_of_date(settled: Any) -> None:
    settled.status["conditions"][0]["message"] = "Something else."
    assert why(settled) == ["status out of date"]


def test_children_that_are_not_wanted(settled: Any) -> None:
    settled.options = Options("tests")
    for name in ("run-template", "evaluate-template", "publish-template", "visualize-template"):
        settled.template(name)
    assert why(settled) == [
        "ConfigMap missing",
        "TestWorkflow missing",
        "TestTrigger missing",
        "TestTrigger not wanted",
        "TestWorkflow not wanted",
        "ConfigMap not wanted",
    ]


def test_a_finalizer_that_was_removed(settled: Any) -> None:
    settled.metadata["finalizers"].clear()
    assert why(settled) == ["finalizer missing"]
