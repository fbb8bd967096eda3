"""`experiment-operator render` prints what the service would apply, and needs no cluster for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiment_operator.resources import SAMPLES
from experiments.yaml import write
from support.memory import MemoryWorld

WEATHER = """\
apiVersion: testbench.agentic-layer.ai/v1alpha1
kind: Experiment
metadata:
  name: weather
spec:
  agentRef:
    name: agent
  scenarios:
    - name: Oslo
      steps:
        - input: Will it rain?
"""
TRIGGERED = WEATHER.replace("name: weather", "name: triggered\n  namespace: shop") + "  trigger: {enabled: true}\n"


def template(name: str, *parameters: str, **metadata: str) -> str:
    config = {parameter: {"type": "string"} for parameter in parameters}
    return write(
        [
            {
                "apiVersion": "testworkflows.testkube.io/v1",
                "kind": "TestWorkflowTemplate",
                "metadata": {"name": name, **metadata},
                "spec": {"config": config},
            }
        ]
    )


TEMPLATES = "".join(
    template(f"{phase}-template", "agentUrl" if phase == "run" else "model")
    for phase in ("setup", "run", "evaluate", "publish", "visualize")
)


def names(objects: list[Any]) -> list[str]:
    return [f"{obj['kind']} {obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in objects]


def config(objects: list[Any], phase: str) -> dict[str, str]:
    uses = next(obj for obj in objects if obj["kind"] == "TestWorkflow")["spec"]["use"]
    found: dict[str, str] = next(use for use in uses if use["name"] == f"{phase}-template").get("config", {})
    return found


def test_what_the_plan_would_apply(render: Any, world: type[MemoryWorld]) -> None:
    made = world(trigger={"enabled": True}, llmAsAJudgeModel="0012", otlpEndpoint="http://otel:4318")
    made.metadata.update(uid="", generation=0)
    experiment = {**made.experiment, "metadata": {"name": "weather"}}
    own = write([obj for ref, obj in made.objects.items() if ref.resource.kind == "TestWorkflowTemplate"])
    found = render("a.yaml", "--templates", "b.yaml", files={"a.yaml": write([experiment]), "b.yaml": own})
    expected = [action.manifest for action in made.plan().actions if action.manifest]
    assert (found.code, found.lines) == (0, [])
    assert found.text == write(expected)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("experiment-*.yaml")), ids=lambda path: path.stem)
def test_the_samples_with_the_templates_that_come_along(render: Any, sample: Path) -> None:
    found = render(str(sample))
    assert (found.code, found.lines) == (0, [])
    assert names(found.objects)[:2] == [
        f"ConfigMap testkube/{(name := yaml.safe_load(sample.read_text())['metadata']['name'])}-experiment.default",
        f"TestWorkflow testkube/{name}-workflow.default",
    ]
    assert all("ownerReferences" not in obj["metadata"] for obj in found.objects)


def test_several_documents_and_files_in_their_order(render: Any) -> None:
    files = {"a.yaml": f"# A comment\n---\n{WEATHER}---\n---\n# Nothing\n---\n{TRIGGERED}...\n"}
    found = render("a.yaml", "-", files=files, stdin=WEATHER.replace("name: weather", "name: last"))
    assert (found.code, found.lines) == (0, [])
    assert names(found.objects) == [
        "ConfigMap testkube/weather-experiment.default",
        "TestWorkflow testkube/weather-workflow.default",
        "ConfigMap testkube/triggered-experiment.shop",
        "TestWorkflow testkube/triggered-workflow.shop",
        "TestTrigger testkube/triggered-trigger.shop",
        "ConfigMap testkube/last-experiment.default",
        "TestWorkflow testkube/last-workflow.default",
    ]


def test_json_is_yaml(render: Any) -> None:
    text = (
        '{"apiVersion": "testbench.agentic-layer.ai/v1alpha1", "kind": "Experiment", "metadata": {"name": "a"}, "spec":'
    )
    text += (
        ' {"agentRef": {"name": "b"}, "scenarios": [{"name": "c", "steps": [{"input": "\\ud83d\\ude00 \\ud83d"}]}]}}'
    )
    found = render("-", stdin=text)
    assert found.code == 0
    assert '"input": "😀 \ufffd"' in found.objects[0]["data"]["experiment.json"]


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("tests", ["ConfigMap tests/weather-experiment.default", "TestWorkflow tests/weather-workflow.default"]),
        (".", ["ConfigMap default/weather-experiment", "TestWorkflow default/weather-workflow"]),
        ("default", ["ConfigMap default/weather-experiment", "TestWorkflow default/weather-workflow"]),
    ],
)
def test_where_testkube_reads(render: Any, namespace: str, expected: list[str]) -> None:
    assert names(render("-", "--testkube-namespace", namespace, stdin=WEATHER).objects) == expected


def test_the_agents_url_as_if_the_agent_had_reported_it(render: Any) -> None:
    assert config(render("-", stdin=WEATHER).objects, "run")["agentUrl"] == (
        "http://agent.default.svc.cluster.local:8000"
    )
    card = "https://agents.example/weather/.well-known/agent-card.json"
    found = render("-", "--agent-url", card, stdin=WEATHER)
    assert config(found.objects, "run")["agentUrl"] == "https://agents.example/weather"


def test_the_otlp_endpoint_where_the_experiment_names_none(render: Any) -> None:
    own = WEATHER.replace("name: weather", "name: own") + "  otlpEndpoint: http://own:4318\n"
    found = render("-", "--otlp-endpoint", "http://flag:4318", stdin=f"{WEATHER}---\n{own}").objects
    assert config(found[:2], "publish")["otelExporterOtlpEndpoint"] == "http://flag:4318"
    assert config(found[2:], "publish")["otelExporterOtlpEndpoint"] == "http://own:4318"


def test_a_gateway_is_assumed_to_have_the_default_port(render: Any) -> None:
    found = render("-", stdin=WEATHER + "  aiGatewayRef: {name: gateway, namespace: ai}\n")
    assert config(found.objects, "evaluate")["openAiBasePath"] == "http://gateway.ai.svc.cluster.local:80"


def test_templates_of_ones_own(render: Any) -> None:
    others = template("evaluate-template", "model", namespace="testkube")
    found = render(
        "a.yaml",
        *("--templates", "b.yaml", "c.yaml"),
        files={"a.yaml": WEATHER + "  llmAsAJudgeModel: gpt-4o\n", "b.yaml": TEMPLATES, "c.yaml": others},
    )
    assert found.code == 0
    assert config(found.objects, "run") == {"agentUrl": "http://agent.default.svc.cluster.local:8000"}
    assert config(found.objects, "visualize") == {"model": "gpt-4o"}


def test_a_template_counts_only_where_it_says_to_be(render: Any) -> None:
    elsewhere = TEMPLATES.replace("name: run-template", "name: run-template\n  namespace: default")
    found = render("-", "--templates", "b.yaml", files={"b.yaml": elsewhere}, stdin=WEATHER)
    assert found.code == 2
    found = render("-", "--templates", "b.yaml", "--testkube-namespace", ".", stdin=WEATHER)
    assert found.code == 0


def test_what_a_cluster_added_to_a_file_has_no_effect(render: Any) -> None:
    dumped = yaml.safe_load(WEATHER)
    dumped["metadata"].update(
        uid="1", generation=7, resourceVersion="8", creationTimestamp="2026-11-23T12:00:00Z", managedFields=[{"a": 1}]
    )
    dumped["metadata"].update(
        finalizers=["testbench.agentic-layer.ai/cleanup"], deletionTimestamp="2026-11-23T12:00:00Z", labels={"a": "b"}
    )
    dumped["status"] = {"agentUrl": "http://old:8000", "observedGeneration": 7}
    assert render("-", stdin=write([dumped])).text == render("-", stdin=WEATHER).text


def test_nothing_of_a_suspended_experiment(render: Any) -> None:
    found = render("-", stdin=f"{WEATHER}  suspend: true\n---\n{TRIGGERED}")
    assert found.code == 0
    assert found.lines == ["stdin, document 1: spec.suspend is true: nothing is applied"]
    assert len(found.objects) == 3


def test_parameters_that_nobody_sets_are_remarked_upon(render: Any) -> None:
    found = render("-", "--templates", "b.yaml", files={"b.yaml": TEMPLATES}, stdin=WEATHER)
    assert found.code == 0
    assert len(found.objects) == 2
    (line,) = found.lines
    assert line == (
        "stdin, document 1: nobody sets these parameters of templates, which have no default: "
        "evaluate-template: model, publish-template: model, visualize-template: model"
    )


def test_every_process_prints_the_same_bytes(render: Any) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "experiment_operator", "render", "-", str(SAMPLES / "experiment-scenarios.yaml")],
        input=TRIGGERED.encode(),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    again = render("-", str(SAMPLES / "experiment-scenarios.yaml"), stdin=TRIGGERED)
    assert process.stdout.decode() == again.text
