"""Templates are checked before Testkube sees the workflow: that each exists, and takes what it is passed."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.options import Options, PhaseTemplates
from experiments.resources import TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from kube.objects import ObjectRef
from support.memory import MemoryWorld

S3 = {"s3": {"bucket": "datasets", "key": "a.json"}}


def applies_workflow(made: Any) -> bool:
    return TEST_WORKFLOW in {action.ref.resource for action in made.plan().actions}


def ref(name: str, namespace: str = "testkube") -> ObjectRef:
    return ObjectRef(TEST_WORKFLOW_TEMPLATE, namespace, name)


def test_phases_run_in_order(world: type[MemoryWorld]) -> None:
    phases = ["run-template", "evaluate-template", "publish-template", "visualize-template"]
    assert list(world().config()) == phases
    assert list(world(scenarios=None, dataset=S3).config()) == ["setup-template", *phases]


def test_the_names_of_templates_and_the_mount_path_are_settings(world: type[MemoryWorld]) -> None:
    made = world(scenarios=None, dataset=S3)
    names = PhaseTemplates("ragas-setup", "ragas-run", "ragas-evaluate", "ragas-publish", "ragas-visualize")
    made.options = Options("testkube", names, "/app/experiment.json")
    made.template("ragas-setup", "bucket", "key")
    made.template("ragas-run", "agentUrl")
    for name in ("ragas-evaluate", "ragas-publish", "ragas-visualize"):
        made.template(name, "model")
    assert list(made.config()) == ["ragas-setup", "ragas-run", "ragas-evaluate", "ragas-publish", "ragas-visualize"]
    made.edit(dataset=None, scenarios=[{"name": "Oslo", "steps": [{"input": "Hi"}]}])
    assert made.manifest(TEST_WORKFLOW)["spec"]["content"]["files"][0]["path"] == "/app/experiment.json"


def test_scenarios_are_mounted_and_datasets_are_not(world: type[MemoryWorld]) -> None:
    """Setup writes the file of a dataset itself: nothing may be mounted over it."""
    source = {"name": "weather-experiment.default", "key": "experiment.json"}
    assert world().manifest(TEST_WORKFLOW)["spec"]["content"] == {
        "files": [{"path": "/data/datasets/experiment.json", "contentFrom": {"configMapKeyRef": source}}]
    }
    assert "content" not in world(scenarios=None, dataset=S3).manifest(TEST_WORKFLOW)["spec"]


def test_all_that_charts_of_the_wild_declare(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={"name": "gateway"}, llmAsAJudgeModel="gpt-4o", otlpEndpoint="http://otel:4318")
    made.gateway()
    agent, gateway = "http://agent.default.svc.cluster.local:8000", "http://gateway.ai-gateway.svc.cluster.local:80"
    otlp, name = {"otelExporterOtlpEndpoint": "http://otel:4318"}, {"experimentName": "weather"}
    assert made.config() == {
        "run-template": {"agentUrl": agent, **name, **otlp},
        "evaluate-template": {
            "openAiBasePath": gateway,
            "openApiBasePath": gateway,
            "openAiApiKey": "unused",
            "model": "gpt-4o",
        },
        "publish-template": {**name, **otlp},
        "visualize-template": name,
    }


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (S3, {"bucket": "datasets", "key": "a.json"}),
        ({"url": "https://data.example/a.json"}, {"datasetUrl": "https://data.example/a.json"}),
    ],
)
def test_setup_is_told_where_the_dataset_is(
    world: type[MemoryWorld], dataset: dict[str, Any], expected: dict[str, str]
) -> None:
    assert world(scenarios=None, dataset=dataset).config()["setup-template"] == expected


def test_what_a_template_does_not_declare_is_not_passed(world: type[MemoryWorld]) -> None:
    """Testkube would ignore it without a word."""
    made = world(llmAsAJudgeModel="gpt-4o")
    made.template("evaluate-template", "judge")
    made.template("visualize-template")
    made.objects[ref("publish-template")]["spec"] = {"config": None}
    assert made.manifest(TEST_WORKFLOW)["spec"]["use"][1:] == [
        {"name": "evaluate-template"},
        {"name": "publish-template"},
        {"name": "visualize-template", "config": {"experimentName": "weather"}},
    ]


def test_a_required_parameter_that_nobody_sets_is_reported(world: type[MemoryWorld]) -> None:
    made = world()
    made.template("evaluate-template", model={"type": "string"}, openAiBasePath={}, extra=None, other={"default": ""})
    status, reason, message = made.condition("WorkflowReady")
    assert (status, reason) == ("True", "ParametersUnfilled")
    assert "evaluate-template: model, evaluate-template: openAiBasePath, evaluate-template: extra." in message
    assert made.condition("Ready")[:2] == ("True", "Reconciled")
    assert applies_workflow(made)


def test_a_required_parameter_that_is_set_is_not_reported(world: type[MemoryWorld]) -> None:
    made = world(llmAsAJudgeModel="gpt-4o")
    made.template("evaluate-template", model={"type": "string"}, openAiApiKey={"type": "string"})
    assert made.condition("WorkflowReady")[:2] == ("True", "Applied")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["run-template"], "TestWorkflowTemplate run-template does not exist in namespace testkube."),
        (
            ["run-template", "evaluate-template"],
            "TestWorkflowTemplates run-template, evaluate-template do not exist in namespace testkube.",
        ),
    ],
)
def test_a_missing_template_keeps_the_workflow_back(world: type[MemoryWorld], missing: list[str], message: str) -> None:
    """Testkube would accept it, and then run the half that it can resolve."""
    made = world()
    for name in missing:
        del made.objects[ref(name)]
    assert made.condition("WorkflowReady") == ("False", "TemplateMissing", message)
    assert made.condition("Ready")[:2] == ("False", "TemplateMissing")
    assert not applies_workflow(made)


def test_setup_is_not_needed_for_scenarios(world: type[MemoryWorld]) -> None:
    made = world()
    del made.objects[ref("setup-template")]
    assert applies_workflow(made)


def test_templates_elsewhere_do_not_count(world: type[MemoryWorld]) -> None:
    made = world()
    made.objects[ref("run-template", "default")] = made.objects.pop(ref("run-template"))
    assert made.condition("Ready")[1] == "TemplateMissing"


@pytest.mark.parametrize(
    ("name", "spec", "missing"),
    [
        ("run-template", {}, "agentUrl"),
        ("setup-template", {"scenarios": None, "dataset": S3}, "bucket, key"),
        ("setup-template", {"scenarios": None, "dataset": {"url": "https://data.example/a.json"}}, "datasetUrl"),
    ],
)
def test_a_template_that_cannot_do_its_work_is_refused(
    world: type[MemoryWorld], name: str, spec: dict[str, Any], missing: str
) -> None:
    made = world(**spec)
    made.template(name, "experimentName")
    assert made.condition("WorkflowReady") == (
        "False",
        "TemplateMismatch",
        f"TestWorkflowTemplate testkube/{name} does not declare the parameter {missing}, without which it cannot work.",
    )
    assert not applies_workflow(made)


def test_the_workflow_never_has_a_templates_name(world: type[MemoryWorld]) -> None:
    """Testkube's scheduler cannot tell the two apart."""
    made = world()
    made.template("weather-workflow.default", "anything")
    status, reason, message = made.condition("WorkflowReady")
    assert (status, reason) == ("False", "NameConflict")
    assert "TestWorkflowTemplate testkube/weather-workflow.default has the name" in message
    assert not applies_workflow(made)


def test_without_testkube_the_templates_are_not_what_is_wrong(world: type[MemoryWorld]) -> None:
    made = world()
    made.unserved |= {TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE}
    assert [problem.reason for problem in made.plan().problems] == ["TestkubeMissing"]
    assert not applies_workflow(made)
