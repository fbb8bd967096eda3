"""What makes an Experiment senseless is refused at the door, and `kubectl apply` lists all of it, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from experiments.names import EXPERIMENT_ANNOTATION, MANAGED_BY, MANAGER
from experiments.options import Options, PhaseTemplates
from experiments.resources import AGENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, ObjectRef
from support.world import World
from webhook.app import create_webhook_app

INVALID = 'The Experiment "demo" is invalid: '


async def test_a_sound_experiment_is_applied_without_a_word(apply: Any, sound: Any) -> None:
    said = await apply(sound())
    assert (said.code, said.err) == (0, "")


async def test_an_agent_that_does_not_exist(apply: Any, sound: Any, world: World) -> None:
    said = await apply(sound(agentRef={"name": "nobody"}))
    assert said.code == 1
    assert said.refusal == f"{INVALID}spec.agentRef: Agent {world.namespace}/nobody does not exist."


async def test_an_agent_without_a2a(apply: Any, sound: Any, world: World, heard: Any) -> None:
    await world.agent("chatty", protocols=[{"type": "OpenAI"}])
    await heard(ObjectRef(AGENT, world.namespace, "chatty"))
    said = await apply(sound(agentRef={"name": "chatty"}))
    speaks = f"Agent {world.namespace}/chatty speaks OpenAI; an evaluation needs A2A."
    assert said.refusal == f"{INVALID}spec.agentRef: {speaks}"


async def test_a_template_that_is_missing(apply: Any, sound: Any, webhook: Any, caches: Any, kube: Any) -> None:
    options = Options(templates=PhaseTemplates(setup="our-setup"))
    with webhook.answered_by(create_webhook_app(caches, kube, options, neighbour_check="refuse")):
        said = await apply(sound(scenarios=None, dataset={"url": "http://data.example/set.json"}))
    assert said.refusal == f"{INVALID}spec: TestWorkflowTemplate our-setup does not exist in namespace testkube."


@pytest.mark.parametrize("owner", [None, "elsewhere/demo"])
@pytest.mark.parametrize("kind", [CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER])
async def test_a_name_that_is_taken(
    apply: Any, sound: Any, world: World, kube: Any, heard: Any, kind: Any, owner: str | None
) -> None:
    ref = next(child for child in world.places().children if child.resource == kind)
    meta: dict[str, Any] = {"name": ref.name, "namespace": ref.namespace}
    if owner:  # made for another Experiment
        meta |= {"labels": {MANAGED_BY: MANAGER}, "annotations": {EXPERIMENT_ANNOTATION: owner}}
    await kube.create(kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **_BODIES[kind.kind]})
    await heard(ref)
    said = await apply(sound(trigger={"enabled": True, "event": "created"}))
    taken = f"{ref} exists and was not made for this Experiment; rename one of the two."
    assert said.refusal == f"{INVALID}metadata.name: {taken}"


_BODIES: dict[str, Any] = {
    "ConfigMap": {"data": {}},
    "TestWorkflow": {"spec": {}},
    "TestTrigger": {
        "spec": {
            "resource": "deployment",
            "resourceSelector": {"name": "x"},
            "event": "created",
            "action": "run",
            "execution": "testworkflow",
            "testSelector": {"name": "x"},
        }
    },
}


async def test_an_expression_that_testkube_cannot_evaluate(apply: Any, sound: Any) -> None:
    said = await apply(sound(env=[{"name": "PROMPT", "value": "say {{ name }}"}]))
    wrong = "spec.env[0].value: speaks of name, which Testkube does not know in an execution"
    assert said.refusal == f'{INVALID}{wrong}; a {{{{ that is meant is written {{{{ "{{{{" }}}}.'
    said = await apply(sound(env=[{"name": "PROMPT", "value": 'say {{ "{{" }} name }}'}]))
    assert (said.code, said.err) == (0, "")


async def test_more_than_a_config_map_holds(apply: Any, sound: Any) -> None:
    scenarios = [{"name": f"s{number}", "steps": [{"input": "x" * 65536}]} for number in range(17)]
    said = await apply(sound(scenarios=scenarios), "--server-side")  # kubectl's own annotation would not hold it
    assert said.refusal.startswith(f"{INVALID}spec: experiment.json has 1,1")
    assert said.refusal.endswith("bytes and a ConfigMap holds 1,048,576; use dataset.s3 or dataset.url.")


@pytest.mark.parametrize("how", [[], ["--server-side"]], ids=str)
async def test_every_problem_is_listed_at_once(apply: Any, sound: Any, world: World, how: list[str]) -> None:
    wrong = {
        "agentRef": {"name": "nobody"},
        "aiGatewayRef": {"name": "no-gateway"},
        "schedule": {"cron": "0 0 30 2 *", "timezone": "Mars/Olympus"},
    }
    said = await apply(sound(**wrong), *how)
    first, *rest = said.refusal.splitlines()
    nowhere = f"AiGateway {world.namespace}/no-gateway and AiGateway ai-gateway/no-gateway do not exist."
    assert first == INVALID
    assert sorted(rest) == [
        f"* spec.agentRef: Agent {world.namespace}/nobody does not exist.",
        f"* spec.aiGatewayRef: {nowhere}",
        "* spec.schedule.cron: '0 0 30 2 *' names no date that exists.",
    ]
    assert await world.get(world.ref()) is None


async def test_the_answer_is_a_status_with_causes(ask: Callable[..., Any], question: Any, sound: Any) -> None:
    wrong = sound(agentRef={"name": "nobody"}, schedule={"cron": "5-1 * * * *"})
    answer = (await ask(question(wrong))).json()
    said = answer["response"]
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert (said["uid"], said["allowed"]) == ("a1b2", False)
    status = said["status"]
    assert (status["code"], status["reason"], status["details"]["name"]) == (422, "Invalid", "demo")
    assert {cause["field"] for cause in status["details"]["causes"]} == {"spec.agentRef", "spec.schedule.cron"}
    assert all(f"{cause['field']}: {cause['message']}" in status["message"] for cause in status["details"]["causes"])


async def test_ten_thousand_problems_are_one_answer(ask: Any, question: Any, sound: Any) -> None:
    env = [{"name": str(number)} for number in range(101)]
    few = sound(env=env[:100], scenarios=[{"name": "s", "steps": [1] * 50}] * 3)
    status = (await ask(question(few))).json()["response"]["status"]
    assert len(status["details"]["causes"]) == 101
    assert status["details"]["causes"][-1]["message"].endswith("more problems.")
    many = sound(scenarios=[{"name": "s", "steps": [1] * 100}] * 100)
    assert "breaks 10,000 rules" in json.dumps((await ask(question(many))).json()["response"]["status"])
