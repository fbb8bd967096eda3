"""What is said when an Experiment is applied: all of it at once, by field, and nothing that was so before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from experiments.admission import Review, review
from experiments.resources import AGENT, EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import Subject
from kube.objects import CONFIG_MAP
from support.memory import MemoryWorld

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
READY = {"status": {"url": "http://agent.default.svc.cluster.local:8000/.well-known/agent-card.json"}}


@pytest.fixture
def made(world: type[MemoryWorld]) -> Any:
    """A world in which nothing is wrong with the Experiment."""
    fine = world(llmAsAJudgeModel="gpt-4o")
    fine.agent(**READY)
    return fine


def judge(world: type[MemoryWorld], **how: Any) -> Review:
    return review(world.snapshot(), **how)


def refusals(world: type[MemoryWorld], **how: Any) -> list[str]:
    return [str(found) for found in judge(world, **how).problems]


def warnings(world: type[MemoryWorld], **how: Any) -> list[str]:
    return [str(found) for found in judge(world, **how).warnings]


def of_thresholds(world: type[MemoryWorld]) -> list[str]:
    return [line for line in warnings(world) if line.startswith("spec.defaultThreshold: ")]


def metrics(*found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "Oslo", "steps": [{"input": "Rain?", "metrics": list(found)}]}]


def test_a_sound_experiment_passes_in_silence(made: Any) -> None:
    assert judge(made) == Review()


def test_a_missing_agent_is_refused_or_warned_of(world: type[MemoryWorld]) -> None:
    said = "spec.agentRef: Agent default/agent does not exist."
    assert refusals(world()) == [said]
    assert refusals(world(), neighbour_check="warn") == []
    assert warnings(world(), neighbour_check="warn") == [said]


def test_without_the_agents_crd_no_agent_is_asked_for(world: type[MemoryWorld]) -> None:
    made = world()
    made.unserved = {AGENT}
    assert judge(made) == Review()


def test_everything_that_is_wrong_is_said_at_once(world: type[MemoryWorld]) -> None:
    made = world(
        aiGatewayRef={"name": "gateway"},
        schedule={"cron": "0 0 30 2 *"},
        trigger={"enabled": True, "event": "created"},
    )
    made.agent(spec={"protocols": [{"type": "OpenAI"}]})
    for ref in [ref for ref in made.objects if ref.name == "run-template"]:
        del made.objects[ref]
    for child in made.subject.placement.children:
        made.put(child.resource, child.name, child.namespace)
    assert {line.partition(":")[0] for line in refusals(made)} == {
        "spec.agentRef",
        "spec.aiGatewayRef",
        "spec.schedule.cron",
        "spec",
        "metadata.name",
    }
    taken = [line for line in refusals(made) if line.startswith("metadata.name")]
    assert len(taken) == 3
    assert "ConfigMap testkube/weather-experiment.default exists and was not made for this Experiment" in taken[0]


def test_what_is_about_others_can_be_warned_of_instead(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={"name": "gateway"}, schedule={"cron": "0 0 30 2 *"})
    for ref in [ref for ref in made.objects if ref.name == "run-template"]:
        del made.objects[ref]
    for child in made.subject.placement.children:
        made.put(child.resource, child.name, child.namespace)
    own = {line for line in refusals(made) if line.startswith("spec.schedule")}
    assert refusals(made, neighbour_check="warn") == [*own]
    assert {*refusals(made)} - own <= {*warnings(made, neighbour_check="warn")}
    made.agent(spec={"protocols": [{"type": "OpenAI"}]})
    assert refusals(made, neighbour_check="warn") == [*own]


@pytest.mark.parametrize("kind", [CONFIG_MAP, TEST_WORKFLOW])
def test_a_name_that_another_experiment_has_is_taken(made: Any, kind: Any) -> None:
    child = next(ref for ref in made.subject.placement.children if ref.resource == kind)
    made.put(
        kind,
        child.name,
        child.namespace,
        metadata={"annotations": {f"{EXPERIMENT.api_version.partition('/')[0]}/experiment": "default/sunny"}},
    )
    (line,) = refusals(made)
    assert line.startswith(f"metadata.name: {child} exists")


def test_a_trigger_that_is_not_wanted_needs_no_name(made: Any) -> None:
    child = made.subject.placement.test_trigger
    made.put(TEST_TRIGGER, child.name, child.namespace)
    assert refusals(made) == []


def test_a_template_of_the_workflows_name_is_in_the_way(made: Any) -> None:
    workflow = made.subject.placement.test_workflow
    made.put(TEST_WORKFLOW_TEMPLATE, workflow.name, workflow.namespace)
    (line,) = refusals(made)
    assert line.startswith("metadata.name: TestWorkflowTemplate")


def test_an_experiment_too_large_for_a_config_map(made: Any) -> None:
    step = {"input": "x" * 65536}
    made.edit(scenarios=[{"name": f"n{i}", "steps": [step]} for i in range(17)])
    (line,) = refusals(made)
    assert line.startswith("spec: experiment.json has 1,1")


def test_scenarios_and_dataset_together_are_refused_whatever_the_crd_says(made: Any) -> None:
    made.edit(dataset={"url": "http://data/set.json"})
    assert refusals(made) == ["spec: scenarios and dataset must not both be set"]


def test_what_the_models_refuse_is_refused_by_field(made: Any) -> None:
    made.edit(scenarios=[], defaultThreshold=2)
    assert {line.partition(": ")[0] for line in refusals(made)} == {"spec.scenarios", "spec.defaultThreshold"}


def test_a_suspended_experiment_is_judged_all_the_same(world: type[MemoryWorld]) -> None:
    assert refusals(world(suspend=True)) == refusals(world()) != []


def test_what_others_have_to_mend_is_a_warning(made: Any) -> None:
    made.unserved = {TEST_WORKFLOW}
    assert refusals(made) == []
    assert warnings(made) == ["spec: testworkflows.testkube.io/v1 is not served here; install Testkube."]


def test_what_was_wrong_before_in_the_same_way_passes(world: type[MemoryWorld]) -> None:
    made = world(aiGatewayRef={"name": "gateway"})
    before = judge(made)
    assert len(before.problems) == 2
    made.gateway()
    assert judge(made).since(before).problems == ()
    made.edit(schedule={"cron": "0 0 30 2 *"})
    assert [found.path for found in judge(made).since(before).problems] == ["spec.schedule.cron"]


def test_an_agent_that_is_not_ready_is_warned_of(world: type[MemoryWorld]) -> None:
    made = world()
    made.agent(spec={"protocols": [{"type": "A2A", "port": 9000}]})
    (line,) = warnings(made)
    assert line.startswith("spec.agentRef: Agent default/agent is not ready")


def test_a_metric_that_nobody_set_a_threshold_for_is_warned_of(made: Any) -> None:
    made.edit(scenarios=metrics({"metricName": "Faithfulness"}, {"metricName": "Accuracy", "threshold": 0}))
    (line,) = warnings(made)
    assert line == (
        "spec.defaultThreshold: some metrics have no threshold (Faithfulness), and none is set for all: 0.9 is used."
    )


def test_a_default_that_the_api_server_filled_in_was_not_chosen(made: Any) -> None:
    made.edit(scenarios=metrics({"metricName": "Faithfulness"}))
    written = json.dumps({"spec": made.experiment["spec"]})
    made.edit(defaultThreshold=0.9)
    assert warnings(made) == []
    made.metadata["annotations"] = {LAST_APPLIED: written}
    assert len(warnings(made)) == 1
    made.metadata["annotations"] = {LAST_APPLIED: "no JSON"}
    assert warnings(made) == []


@pytest.mark.parametrize(
    ("managers", "warns"),
    [
        ([("Apply", ["agentRef", "scenarios"])], True),
        ([("Apply", ["agentRef", "scenarios", "defaultThreshold"])], False),
        ([("Apply", ["agentRef"]), ("Apply", ["defaultThreshold"])], False),
        # Of a POST, defaults are recorded as if they had been sent; and such an owner may stay when others apply.
        ([("Update", ["agentRef", "scenarios", "defaultThreshold"])], False),
        ([("Apply", ["agentRef"]), ("Update", ["defaultThreshold"])], False),
        ([("Apply", [])], False),
        ([], False),
    ],
)
def test_managed_fields_tell_who_has_chosen_a_default(made: Any, managers: Any, warns: bool) -> None:
    made.edit(scenarios=metrics({"metricName": "Faithfulness"}), defaultThreshold=0.9)
    made.metadata["managedFields"] = [
        {"manager": "m", "operation": operation, "fieldsV1": {"f:spec": {f"f:{field}": {} for field in fields}}}
        for operation, fields in managers
    ]
    assert len(of_thresholds(made)) == warns
    made.metadata["annotations"] = {LAST_APPLIED: json.dumps({"spec": {"defaultThreshold": 0.9}})}
    assert of_thresholds(made) == []


@pytest.mark.parametrize(
    "entries", [None, 5, "text", {"a": 1}, [None], [{}], [{"operation": "Apply", "fieldsV1": {"f:spec": ["f:a"]}}]]
)
def test_managed_fields_of_another_form_say_nothing(made: Any, entries: Any) -> None:
    made.edit(scenarios=metrics({"metricName": "Faithfulness"}), defaultThreshold=0.9)
    made.metadata["managedFields"] = entries
    assert of_thresholds(made) == []


def test_the_threshold_of_an_inline_dataset_is_a_choice(made: Any) -> None:
    scenarios = metrics({"metricName": "Faithfulness"})
    made.edit(scenarios=None, dataset={"inline": {"scenarios": scenarios, "defaultThreshold": 0.5}})
    assert warnings(made) == []


@pytest.mark.parametrize("event", ["modified", "deployment-generation-modified", "deployment-resource-modified"])
def test_a_trigger_that_also_fires_on_scaling_is_warned_of(made: Any, event: str) -> None:
    made.edit(trigger={"enabled": True, "event": event})
    begin, end = f"spec.trigger.event: {event} also fires when the Deployment is scaled", "fires on a new image only."
    assert warnings(made) == [f"{begin}, and then waits in vain for a rollout; deployment-image-update {end}"]
    made.edit(trigger={"enabled": True, "event": event, "waitForRollout": {"enabled": False}})
    assert warnings(made) == [f"{begin}; deployment-image-update {end}"]


@pytest.mark.parametrize("event", ["deployment-image-update", "deployment-scale-update", "deleted"])
def test_a_trigger_that_fires_when_it_is_meant_to_is_fine(made: Any, event: str) -> None:
    made.edit(trigger={"enabled": True, "event": event})
    assert warnings(made) == []


def test_a_trigger_that_is_not_enabled_is_not_warned_of(made: Any) -> None:
    made.edit(trigger={"event": "modified"})
    assert warnings(made) == []


def test_a_gateway_that_is_missing_is_refused(made: Any) -> None:
    made.edit(aiGatewayRef={"name": "gateway"})
    assert refusals(made) == [
        "spec.aiGatewayRef: AiGateway default/gateway and AiGateway ai-gateway/gateway do not exist."
    ]
    made.gateway()
    assert refusals(made) == []


@pytest.mark.parametrize(
    ("cron", "pause"),
    [
        ("* * * * *", 1),
        ("*/4 * * * *", 4),
        ("*/5 * * * *", None),
        ("0,3 5 * * *", 3),
        ("58,2 * * * *", 4),
        ("58,2 5,7 * * *", None),
        ("59,0 23,0 * * *", 1),
        ("0 6 * * 1-5", None),
        ("0 0 29 2 *", None),
    ],
)
def test_a_schedule_that_hardly_pauses_is_warned_of(made: Any, cron: str, pause: int | None) -> None:
    made.edit(schedule={"cron": cron})
    said = [] if pause is None else [f"spec.schedule.cron: evaluates the agent again after {pause} min."]
    assert warnings(made) == said


def test_an_object_of_any_shape_is_judged(made: Any) -> None:
    for spec in (None, [], "text", {"agentRef": 1}, {"agentRef": {"name": "agent"}, "scenarios": {"a": 1}}):
        made.experiment["spec"] = spec
        subject = Subject.of(made.experiment, made.options)
        assert subject.spec is None
        assert refusals(made)
