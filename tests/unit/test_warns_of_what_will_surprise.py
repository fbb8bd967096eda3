"""What does not keep an Experiment from being Ready and will surprise its author all the same is said when it is
applied, in the plan and in the status.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from experiments.admission import review
from experiments.resources import TEST_TRIGGER
from support.memory import MemoryWorld

Make: TypeAlias = Callable[[Any], Any]

JUDGED = [{"name": "Oslo", "steps": [{"input": "Rain?", "metrics": [{"metricName": "Faithfulness", "threshold": 1}]}]}]
SECRET = {"valueFrom": {"secretKeyRef": {"name": "judge", "key": "key"}}}
NO_MODEL = (
    "spec.llmAsAJudgeModel: no model is named, without which the evaluate phase lets every metric fail: Faithfulness."
)
OVERRULED = (
    "spec.env[0]: OPENAI_API_KEY does not arrive in evaluate-template, which sets it itself and takes it from no "
    "Secret or ConfigMap."
)
NO_JUDGE = (
    "spec.aiGatewayRef: neither an AiGateway nor OPENAI_BASE_URL says where the judge is, and evaluate-template has no "
    "address of its own: every metric fails."
)
NO_EVENT = (
    "spec.trigger.event: Testkube has no such event of a Deployment: on_push is taken for modified, as upstream takes "
    "every event."
)
SHARED = (
    "spec.trigger.concurrencyPolicy: with Forbid, an event during a run does not reach the other triggers of the "
    "agent's Deployment: TestTrigger testkube/rival-0 is one."
)
ORPHANED = (
    "spec.deletionPolicy: with Orphan, an execution whose pod has not started when the Experiment is deleted waits for "
    "its ConfigMap for ever."
)
FORBID = {"enabled": True, "event": "deployment-image-update", "concurrencyPolicy": "Forbid"}


def s3(key: str) -> Make:
    return lambda world: world(scenarios=None, dataset={"s3": {"bucket": "datasets", "key": key}})


def overruled(world: type[MemoryWorld]) -> Any:
    made = world(env=[{"name": "OPENAI_API_KEY", **SECRET}])
    made.template_sets("evaluate-template", OPENAI_API_KEY="{{ config.openAiApiKey }}")
    return made


def without_judge(world: type[MemoryWorld]) -> Any:
    """With an evaluate template as in the phases' own chart."""
    made = world(scenarios=JUDGED, llmAsAJudgeModel="gpt-4o")
    made.template_sets("evaluate-template", OPENAI_BASE_URL="{{ config.openAiBasePath }}")
    return made


def shared(world: type[MemoryWorld], *rivals: tuple[str, str], trigger: dict[str, Any] | None = None) -> Any:
    """With triggers of others on the Deployments with these namespaces and names."""
    made = world(trigger=trigger or FORBID)
    for i, (namespace, name) in enumerate(rivals):
        selector = {"name": name, "namespace": namespace}
        made.put(TEST_TRIGGER, f"rival-{i}", "testkube", spec={"resource": "deployment", "resourceSelector": selector})
    return made


SURPRISES: dict[str, tuple[Make, str, str]] = {
    "csv-dataset": (
        s3("weather/regression.csv"),
        "WorkflowReady",
        "spec.dataset.s3.key: the setup phase fetches no key that does not end in .json.",
    ),
    "no-model": (
        lambda world: world(scenarios=JUDGED),
        "WorkflowReady",
        NO_MODEL,
    ),
    "no-model-in-the-older-spelling": (
        lambda world: world(scenarios=None, dataset={"inline": {"scenarios": JUDGED, "defaultThreshold": 1}}),
        "WorkflowReady",
        NO_MODEL,
    ),
    "key-from-a-secret-that-the-template-overrules": (
        overruled,
        "WorkflowReady",
        OVERRULED,
    ),
    "judge-without-address": (
        without_judge,
        "WorkflowReady",
        NO_JUDGE,
    ),
    "empty-otlp-endpoint": (
        lambda world: world(env=[{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": ""}]),
        "WorkflowReady",
        "spec.env[0]: an empty OTEL_EXPORTER_OTLP_ENDPOINT lets upstream's publish phase fail: leave it out.",
    ),
    "event-of-another-tool": (
        lambda world: world(trigger={"enabled": True, "event": "on_push"}),
        "TriggerReady",
        NO_EVENT,
    ),
    "forbid-shared": (
        lambda world: shared(world, ("default", "agent")),
        "TriggerReady",
        SHARED,
    ),
    "executions-outlive-their-file": (
        lambda world: world(deletionPolicy="Orphan"),
        "WorkflowReady",
        ORPHANED,
    ),
}


def warned(made: Any) -> list[str]:
    return [str(warning) for warning in made.plan().warnings]


@pytest.mark.parametrize("surprise", SURPRISES)
def test_a_surprise_is_in_the_plan(world: type[MemoryWorld], surprise: str) -> None:
    make, _, said = SURPRISES[surprise]
    assert warned(make(world)) == [said]


@pytest.mark.parametrize("surprise", SURPRISES)
def test_a_surprise_is_told_to_whoever_applies_it_and_does_not_hinder_them(
    world: type[MemoryWorld], surprise: str
) -> None:
    make, _, said = SURPRISES[surprise]
    made = make(world)
    made.agent(status={"url": "http://agent:8000"})
    found = review(made.snapshot())
    assert found.problems == ()
    assert said in [str(warning) for warning in found.warnings]


@pytest.mark.parametrize("surprise", SURPRISES)
def test_a_surprise_is_in_the_status_of_an_experiment_that_is_ready(world: type[MemoryWorld], surprise: str) -> None:
    make, condition, said = SURPRISES[surprise]
    made = make(world)
    made.settle()
    assert made.plan().needed is False
    conditions = {each["type"]: each for each in made.status["conditions"]}
    assert (conditions[condition]["status"], conditions[condition]["reason"]) == ("True", "AppliedWithWarnings")
    assert conditions[condition]["message"].endswith(f" Warning: {said}")
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("True", "Reconciled")
    others = {each["reason"] for kind, each in conditions.items() if kind not in {condition, "AgentResolved", "Ready"}}
    assert others <= {"Applied"}


def test_a_surprise_that_is_mended_is_not_in_the_status_any_more(world: type[MemoryWorld]) -> None:
    made = world(scenarios=JUDGED)
    made.settle()
    made.edit(llmAsAJudgeModel="gpt-4o")
    made.settle()
    assert made.condition("WorkflowReady")[1] == "Applied"


def test_two_surprises_are_both_said(world: type[MemoryWorld]) -> None:
    made = world(scenarios=JUDGED, env=[{"name": "OTEL_EXPORTER_OTLP_ENDPOINT"}])
    assert made.condition("WorkflowReady")[2].count(" Warning: ") == 2


def test_parameters_that_nobody_sets_give_the_reason_and_surprises_are_said_besides(world: type[MemoryWorld]) -> None:
    made = world(scenarios=JUDGED)
    made.template("evaluate-template", model={"type": "string"})
    _, reason, message = made.condition("WorkflowReady")
    assert reason == "ParametersUnfilled"
    assert "evaluate-template: model. Warning: spec.llmAsAJudgeModel: no model is named" in message


@pytest.mark.parametrize("key", ["a.json", "a/b.JSON"])
def test_a_key_that_ends_in_json_is_fine(world: type[MemoryWorld], key: str) -> None:
    assert warned(s3(key)(world)) == []


def test_metrics_without_a_model_are_fine_where_the_template_has_one(world: type[MemoryWorld]) -> None:
    made = world(scenarios=JUDGED)
    made.template("evaluate-template", model={"type": "string", "default": "gpt-4o"})
    assert warned(made) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"llmAsAJudgeModel": "gpt-4o", "scenarios": JUDGED},
        {"scenarios": None, "dataset": {"inline": {"llmAsAJudgeModel": "gpt-4o", "scenarios": JUDGED}}},
        {"scenarios": None, "dataset": {"url": "http://data/a.json"}},
        {},
    ],
)
def test_no_model_is_missed_where_one_is_named_or_none_is_known_to_be_needed(
    world: type[MemoryWorld], spec: dict[str, Any]
) -> None:
    assert warned(world(**spec)) == []


@pytest.mark.parametrize(
    "spec",
    [{"deletionPolicy": "Abort"}, {"deletionPolicy": "Orphan", "scenarios": None, "dataset": {"url": "http://a/b"}}],
)
def test_executions_that_are_aborted_or_need_no_file_wait_for_none(
    world: type[MemoryWorld], spec: dict[str, Any]
) -> None:
    assert warned(world(**spec)) == []


def test_a_deployment_that_nobody_else_waits_for_may_be_forbidden(world: type[MemoryWorld]) -> None:
    assert warned(shared(world, ("default", "other"), ("shop", "agent"))) == []


@pytest.mark.parametrize(
    "trigger", [{**FORBID, "concurrencyPolicy": "Replace"}, {**FORBID, "enabled": False}, {"enabled": True}]
)
def test_only_forbid_keeps_events_from_others(world: type[MemoryWorld], trigger: dict[str, Any]) -> None:
    assert warned(shared(world, ("default", "agent"), trigger=trigger)) == []


def test_an_experiment_is_no_rival_of_its_own(world: type[MemoryWorld]) -> None:
    made = shared(world)
    made.settle()
    assert warned(made) == []


@pytest.mark.parametrize("spec", [{}, {"resourceSelector": None}, {"resourceSelector": {"name": "agent"}}])
def test_a_trigger_that_names_no_deployment_is_no_rival(world: type[MemoryWorld], spec: dict[str, Any]) -> None:
    made = shared(world)
    made.put(TEST_TRIGGER, "rival", "testkube", spec=spec)
    assert warned(made) == []


@pytest.mark.parametrize(("policy", "read"), [("Forbid", ["rival-1"]), ("Replace", [])])
def test_a_snapshot_has_one_rival_where_it_matters(world: type[MemoryWorld], policy: str, read: list[str]) -> None:
    trigger = {**FORBID, "concurrencyPolicy": policy}
    made = shared(world, ("shop", "agent"), ("default", "agent"), ("default", "agent"), trigger=trigger)
    assert [ref.name for ref in made.taken().objects if ref.resource == TEST_TRIGGER] == read


@pytest.mark.parametrize("own", [None, "http://models.ml:8080"])
def test_a_judge_has_an_address_from_a_gateway_or_from_the_environment(
    world: type[MemoryWorld], own: str | None
) -> None:
    made = without_judge(world)
    assert warned(made) == [NO_JUDGE]
    if own:
        made.edit(env=[{"name": "OPENAI_BASE_URL", "value": own}])
    else:
        made.gateway()
    assert warned(made) == []


def test_a_judge_has_an_address_where_the_template_has_one(world: type[MemoryWorld]) -> None:
    made = without_judge(world)
    made.template("evaluate-template", openAiBasePath={"type": "string", "default": "http://models.ml:8080"})
    made.template_sets("evaluate-template", OPENAI_BASE_URL="{{ config.openAiBasePath }}")
    assert NO_JUDGE not in warned(made)


def test_an_address_that_is_emptied_is_none(world: type[MemoryWorld]) -> None:
    made = without_judge(world)
    made.gateway()
    made.edit(env=[{"name": "OPENAI_BASE_URL", "value": ""}])
    assert warned(made) == [NO_JUDGE]


def test_without_metrics_nobody_needs_a_judge(world: type[MemoryWorld]) -> None:
    made = world()
    made.template_sets("evaluate-template", OPENAI_BASE_URL="{{ config.openAiBasePath }}")
    assert warned(made) == []
