"""Samples, and a manifest of each published generation of the API, become what a real Testkube ran to its end, with the
templates of `deploy/testkube` and with those of the phases' own chart.

`what_passed.json` has, of executions that passed: where experiment.json was mounted, the workflow's environment, what
each template was passed, and the evaluate step's environment.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiment_operator.resources import SAMPLES, TEMPLATES
from experiments.admission import review
from experiments.errors import TemplateMismatch
from experiments.options import Options, PhaseTemplates
from experiments.plan import Plan, plan
from experiments.resources import AGENT, AI_GATEWAY, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import Snapshot, Subject
from kube.objects import CONFIG_MAP, Object, ObjectRef, ref_of

PASSED = json.loads(Path(__file__).with_name("what_passed.json").read_text(encoding="utf-8"))
GENERATIONS = Path(__file__).parents[1] / "support" / "generations"
DATASET = "http://host.node:18112/experiment.json"
PHASES = ("setup", "run", "evaluate", "publish", "visualize")

OURS: list[Object] = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in TEMPLATES.glob("*.yaml")]


def template(name: str, *parameters: str, **environment: str) -> Object:
    """With these parameters, and a step that sets this environment itself."""
    env = [{"name": variable, "value": value} for variable, value in environment.items()]
    config = {parameter: {"type": "string", "default": ""} for parameter in parameters}
    step = {"name": name.removesuffix("-template").removeprefix("ragas-"), "run": {"env": env}}
    meta = {"name": name}
    kind = {"apiVersion": TEST_WORKFLOW_TEMPLATE.api_version, "kind": TEST_WORKFLOW_TEMPLATE.kind}
    return {**kind, "metadata": meta, "spec": {"config": config, "steps": [step]}}


# As the newest chart of the phases declares them.
UPSTREAM = [
    template("setup-template", "bucket", "key"),
    template("run-template", "agentUrl", "experimentName"),
    template(
        "evaluate-template",
        *("openAiBasePath", "openAiApiKey"),
        OPENAI_BASE_URL="{{ config.openAiBasePath }}",
        OPENAI_API_KEY="{{ config.openAiApiKey }}",
    ),
    template("publish-template", "experimentName"),
    template("visualize-template", "experimentName"),
]
# As chart 0.3 did.
OLDER_NAMES = PhaseTemplates(*(f"ragas-{phase}-template" for phase in PHASES))
OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "{{ config.otelExporterOtlpEndpoint }}"}
OLDER = [
    template("ragas-setup-template", "bucket", "key"),
    template("ragas-run-template", "agentUrl", "otelExporterOtlpEndpoint", **OTLP),
    template("ragas-evaluate-template", "model", "openApiBasePath", OPENAI_BASE_URL="{{ config.openApiBasePath }}"),
    template("ragas-publish-template", "otelExporterOtlpEndpoint", **OTLP),
    template("ragas-visualize-template"),
]


def sample(name: str, **spec: Any) -> Object:
    """In namespace sample-agents, with the store of the recordings."""
    text = (SAMPLES / f"experiment-{name}.yaml").read_text(encoding="utf-8")
    return experiment(text.replace("http://minio.storage.svc.cluster.local:9000", "http://host.node:19000"), **spec)


def generation(name: str) -> Object:
    return experiment((GENERATIONS / f"{name}.yaml").read_text(encoding="utf-8"))


def experiment(text: str, **spec: Any) -> Object:
    written: Object = yaml.safe_load(text)
    written["metadata"]["namespace"] = "sample-agents"
    written["spec"] |= spec
    return written


def named(name: str, written: Object) -> Object:
    return {**written, "metadata": {**written["metadata"], "name": name}}


def planned(written: Object, templates: list[Object], *around: Object) -> Plan:
    """In a cluster with these templates, the gateways of recordings and manifests, and what else there is."""
    names = OLDER_NAMES if templates is OLDER else PhaseTemplates()
    found: dict[ObjectRef, Object] = {
        ObjectRef(AI_GATEWAY, "ai-gateway", name): {"spec": {"port": 4000}} for name in ("ai-gateway", "gateway")
    }
    for each in templates:
        placed = {**each, "metadata": {**each["metadata"], "namespace": "testkube"}}
        found[ref_of(TEST_WORKFLOW_TEMPLATE, placed)] = placed
    found |= {ref_of(CONFIG_MAP, each): each for each in around}
    return plan(Snapshot(Subject.of(written, Options(templates=names)), found))


def rendered(written: Object, templates: list[Object], *around: Object) -> dict[str, Any]:
    """What becomes of it, in the words of `what_passed.json`."""
    made = planned(written, templates, *around)
    assert made.problems == ()
    spec = next(each for each in made.manifests if each["kind"] == TEST_WORKFLOW.kind)["spec"]
    config = {use["name"]: use.get("config", {}) for use in spec["use"]}
    return {
        "paths": [file["path"] for file in spec.get("content", {}).get("files", ())],
        "env": {each["name"]: each.get("value") or each["valueFrom"] for each in spec["container"]["env"]},
        "config": config,
        "evaluate": environment_of_evaluate(templates, config),
    }


def environment_of_evaluate(templates: list[Object], config: dict[str, dict[str, str]]) -> dict[str, str]:
    """What the step sets itself, as Testkube resolves it."""
    found = next(each for each in templates if each["metadata"]["name"].endswith("evaluate-template"))
    defaults = {name: declared.get("default", "") for name, declared in found["spec"]["config"].items()}
    values = defaults | config[found["metadata"]["name"]]
    (step,) = found["spec"]["steps"]
    return {
        each["name"]: re.sub(r"{{ config\.(\w+) }}", lambda parameter: values[parameter[1]], each["value"])
        for each in step["run"]["env"]
    }


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Without what is passed and set since, which these executions did not need; one key is as good as another."""
    config = {
        template: {name: value for name, value in passed.items() if name != "openAiApiKey"}
        for template, passed in found["config"].items()
    }
    env = {name: value for name, value in found["env"].items() if name != "UV_NO_SYNC"}
    evaluate = {name: value for name, value in found["evaluate"].items() if name != "JUDGE_API_KEY"}
    if "OPENAI_API_KEY" in evaluate:
        evaluate["OPENAI_API_KEY"] = "a key" if evaluate["OPENAI_API_KEY"] else ""
    return {**found, "config": config, "env": env, "evaluate": evaluate}


@pytest.mark.parametrize(
    ("written", "recording"),
    [
        (sample("scenarios"), "ours-fixed"),
        (sample("scenarios", otlpEndpoint="http://host.node:4318"), "otlp-ok"),
        (named("weather", sample("dataset-inline")), "ours-fixed"),
        (sample("dataset-s3"), "s3-ours"),
        (named("weather-url", sample("dataset-s3", dataset={"url": DATASET})), "url-ours"),
    ],
    ids=["scenarios", "scenarios-with-otlp", "dataset-inline", "dataset-s3", "dataset-url"],
)
def test_a_sample_with_our_templates_becomes_what_passed(written: Object, recording: str) -> None:
    found = rendered(written, OURS)
    assert comparable(found) == comparable(PASSED[recording])
    assert found["evaluate"]["JUDGE_API_KEY"] == "unused"
    assert found["env"]["UV_NO_SYNC"] == "1"


@pytest.mark.parametrize("name", ["scenarios", "dataset-inline"])
def test_a_sample_with_the_charts_own_templates_becomes_what_passed(name: str) -> None:
    found = rendered(named("weather", sample(name)), UPSTREAM)
    assert comparable(found) == comparable(PASSED["upstream-templates-key"])
    assert found["config"]["evaluate-template"]["openAiApiKey"] == "unused"


def test_a_dataset_in_s3_with_the_charts_own_templates_is_set_up_as_what_passed() -> None:
    found = comparable(rendered(sample("dataset-s3"), UPSTREAM))
    passed, others = comparable(PASSED["s3-ours"]), comparable(PASSED["upstream-templates-key"])
    assert (found["paths"], found["env"]) == (passed["paths"], passed["env"])
    assert found["config"]["setup-template"] == passed["config"]["setup-template"]
    assert found["config"]["evaluate-template"] == others["config"]["evaluate-template"]
    assert found["evaluate"] == others["evaluate"]


def test_a_dataset_by_url_is_told_to_be_nothing_for_the_charts_own_templates() -> None:
    made = planned(sample("dataset-s3", dataset={"url": DATASET}), UPSTREAM)
    assert made.problems == (
        TemplateMismatch(
            "TestWorkflowTemplate testkube/setup-template does not declare the parameter datasetUrl, without which it "
            "cannot work."
        ),
    )


@pytest.mark.parametrize("name", ["scenarios", "dataset-inline", "dataset-s3"])
@pytest.mark.parametrize("templates", [OURS, UPSTREAM], ids=["ours", "the-charts-own"])
def test_a_sample_is_a_good_example(name: str, templates: list[Object]) -> None:
    """Nobody is refused or warned who applies one, and its status says nothing but that all is well."""
    written = sample(name)
    agent = {ObjectRef(AGENT, "sample-agents", "weather-agent"): {"status": {"url": "http://weather-agent:8000"}}}
    made = planned(written, templates)
    around = Snapshot(made.snapshot.subject, {**made.snapshot.objects, **agent})
    said = review(around)
    assert [str(each) for each in (*said.problems, *said.warnings)] == []
    reasons = {condition.reason for condition in plan(around).report.conditions}
    assert reasons <= {"AgentReady", "Applied", "Reconciled"}


def of_the_manifest(passed: dict[str, Any], name: str) -> dict[str, Any]:
    """A recording as it would be of the agent, gateway and name of the manifests of published generations."""
    text = json.dumps(comparable(passed))
    for there, here in (
        ("weather-agent.sample-agents", "sailing-agent.agents"),
        ("ai-gateway.ai-gateway", "gateway.ai-gateway"),
        ("http://host.node:4318", "http://otel.monitoring.svc.cluster.local:4318"),
        ('"weather"', f'"{name}"'),
    ):
        text = text.replace(there, here)
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(
    ("templates", "recording"),
    [(OURS, "otlp-ok"), (UPSTREAM, "upstream-templates-key")],
    ids=["ours", "the-charts-own"],
)
def test_a_manifest_with_scenarios_becomes_what_passed(templates: list[Object], recording: str) -> None:
    found = comparable(rendered(generation("with-scenarios"), templates))
    passed = of_the_manifest(PASSED[recording], "with-scenarios")
    # To the chart's own templates the endpoint comes by the environment alone.
    assert found == {**passed, "env": of_the_manifest(PASSED["otlp-ok"], "with-scenarios")["env"]}


OTEL_CONFIG = {
    "metadata": {"name": "otel-config", "namespace": "testkube"},
    "data": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://host.node:4318"},
}
FROM_CONFIG = {"configMapKeyRef": {"name": "otel-config", "key": "OTEL_EXPORTER_OTLP_ENDPOINT"}}


@pytest.mark.parametrize(
    ("templates", "recording"),
    [(OURS, "ours-fixed"), (UPSTREAM, "upstream-templates-key")],
    ids=["ours", "the-charts-own"],
)
@pytest.mark.parametrize("around", [(), (OTEL_CONFIG,)], ids=["without-otel-config", "with-otel-config"])
def test_a_manifest_with_an_inline_dataset_becomes_what_passed(
    templates: list[Object], recording: str, around: tuple[Object, ...]
) -> None:
    """Its own variable is unset where otel-config is missing, and then telemetry has to be off."""
    found = comparable(rendered(generation("with-inline-dataset"), templates, *around))
    passed = of_the_manifest(PASSED[recording], "with-inline-dataset")
    own = {"OTEL_EXPORTER_OTLP_ENDPOINT": FROM_CONFIG}
    assert found == {**passed, "env": own if around else passed["env"] | own}


@pytest.mark.parametrize("name", ["with-scenarios", "with-inline-dataset"])
def test_templates_of_chart_0_3_are_given_all_that_they_take(name: str) -> None:
    found = rendered(generation(name), OLDER)
    gateway = "http://gateway.ai-gateway.svc.cluster.local:4000"
    endpoint = generation(name)["spec"].get("otlpEndpoint")
    otlp = {"otelExporterOtlpEndpoint": endpoint} if endpoint else {}
    assert found["config"] == {
        "ragas-run-template": {"agentUrl": "http://sailing-agent.agents.svc.cluster.local:8000", **otlp},
        "ragas-evaluate-template": {"model": "gemini-2.5-flash-lite", "openApiBasePath": gateway},
        "ragas-publish-template": otlp,
        "ragas-visualize-template": {},
    }
    assert found["evaluate"] == {"OPENAI_BASE_URL": gateway}
    assert found["paths"] == ["/data/datasets/experiment.json"]


def test_templates_of_chart_0_3_that_overrule_the_manifests_own_variable_are_warned_of() -> None:
    (warning,) = planned(generation("with-inline-dataset"), OLDER).warnings
    assert str(warning).startswith(
        "spec.env[0]: OTEL_EXPORTER_OTLP_ENDPOINT does not arrive in ragas-run-template, ragas-publish-template"
    )
