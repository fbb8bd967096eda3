"""What a reconciliation would do, for an Experiment that is there and for one that is not applied yet."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from experiments.names import placement
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.objects import CONFIG_MAP, ref_of
from support.polling import until

pytestmark = pytest.mark.usefixtures("templates")


def experiment(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    scenarios = [{"name": "Oslo", "steps": [{"input": "Will it rain?"}]}]
    return {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"agentRef": {"name": "weather-agent"}, "scenarios": scenarios, **spec},
    }


def verbs(plan: dict[str, Any]) -> list[tuple[str, str]]:
    return [(change["verb"], change["kind"]) for change in plan["changes"]]


async def test_a_plan_shows_what_is_to_be_created(api, create, namespace):
    await create("weather")
    answer = await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/plan")
    plan = answer.json()
    assert (answer.status_code, plan["needed"], plan["reasons"]) == (200, True, ["generation 1"])
    assert verbs(plan) == [("addFinalizer", "Experiment"), ("create", "ConfigMap"), ("create", "TestWorkflow")]
    (data,) = (field for field in plan["changes"][1]["fields"] if field["path"] == "data")
    assert data["current"] is None
    assert "Will it rain?" in data["planned"]["experiment.json"]
    assert plan["agentUrl"] == f"http://weather-agent.{namespace}.svc.cluster.local:8000"
    assert {c["type"]: c["reason"] for c in plan["conditions"]}["Ready"] == "Reconciled"
    (refusal,) = plan["refusals"]
    assert refusal["path"] == "spec.agentRef"


async def test_a_plan_shows_each_field_that_somebody_edited(api, create, namespace, kube, caches):
    await create("weather")
    url = f"/api/v1/namespaces/{namespace}/experiments/weather"
    for manifest in (await api.get(f"{url}/manifests")).json()["items"]:
        if manifest["kind"] == "ConfigMap":
            manifest["data"]["experiment.json"] = "{}"
            await kube.create(CONFIG_MAP, manifest)
    await until(lambda: caches.get(placement(namespace, "weather", Options()).config_map))
    change = (await api.get(f"{url}/plan")).json()["changes"][1]
    assert (change["verb"], change["kind"]) == ("change", "ConfigMap")
    assert [(field["path"], field["current"]) for field in change["fields"]] == [("data[experiment.json]", "{}")]


async def test_manifests_are_what_kubectl_takes(api, create, namespace, cluster):
    await create("weather")
    url = f"/api/v1/namespaces/{namespace}/experiments/weather/manifests"
    answer = await api.get(url)
    told = await api.get(url, headers={"Accept": "application/yaml"})
    assert told.headers["content-type"].startswith("application/yaml")
    assert list(yaml.safe_load_all(told.text)) == answer.json()["items"]
    for text in (answer.text, told.text):
        listed = await cluster.kubectl("apply", "--dry-run=server", "-f", "-", "-o", "name", stdin=text)
        assert len(listed.split()) == 2


async def test_what_cannot_be_generated_is_a_conflict_that_says_why(api, create, kube, namespace):
    obj = await create("weather")
    await kube.merge_patch(
        ref_of(EXPERIMENT, obj), {"spec": {"aiGatewayRef": {"name": "nowhere", "namespace": namespace}}}
    )
    url = f"/api/v1/namespaces/{namespace}/experiments/weather/manifests"

    async def refused():
        answer = await api.get(url)
        return answer if answer.status_code == 409 else None

    answer = await until(refused)
    assert answer.json()["errors"] == [f"AiGateway {namespace}/nowhere does not exist."]


@pytest.mark.parametrize("kind", ["json", "yaml"])
async def test_an_experiment_that_is_not_applied_is_planned(api, namespace, kind):
    obj = experiment("sunny", namespace, trigger={"enabled": True})
    body = json.dumps(obj) if kind == "json" else yaml.safe_dump(obj)
    plan = (await api.post("/api/v1/plan", content=body)).json()
    assert verbs(plan)[1:] == [("create", "ConfigMap"), ("create", "TestWorkflow"), ("create", "TestTrigger")]
    assert [warning["path"] for warning in plan["warnings"]] == ["spec.trigger.event"]
    assert plan["problems"] == []


async def test_everything_that_is_wrong_with_it_is_said(api, namespace):
    wrong = experiment("sunny", namespace, defaultThreshold=2, colour="blue", schedule={"cron": "daily"})
    plan = (await api.post("/api/v1/plan", json=wrong)).json()
    assert {refusal["path"] for refusal in plan["refusals"]} == {
        "spec.defaultThreshold",
        "spec.colour",
        "spec.schedule.cron",
    }
    assert [problem["reason"] for problem in plan["problems"]] == ["InvalidSpec"]
    assert plan["changes"] == []


async def test_an_experiment_that_exists_is_compared_with_what_there_is(api, create, namespace):
    obj = await create("weather")
    same = {key: obj[key] for key in ("apiVersion", "kind", "spec")}
    same["metadata"] = {"name": "weather", "namespace": namespace}
    assert (await api.post("/api/v1/plan", json=same)).json()["reasons"] == ["generation 1"]
    same["spec"]["suspend"] = True
    plan = (await api.post("/api/v1/plan", json=same)).json()
    assert (plan["reasons"], plan["changes"]) == (["generation 2"], [])
    assert {c["type"]: c["reason"] for c in plan["conditions"]} == {"Ready": "Suspended"}


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{after}: &{after} [*{before},*{before},*{before},*{before},*{before},*{before},*{before},*{before}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "the body must be one Experiment, and holds 0 documents"),
        ("a: 1\n---\nb: 2\n", "the body must be one Experiment, and holds 2 documents"),
        ("[]", "the body must be an object"),
        ("kind: Pod\napiVersion: v1\n", "kind: must be Experiment"),
        ("{", "body, document 1, line"),
        ("[" * 5000, "the body is nested too deeply"),
        (BOMB, "the body unfolds into more than anybody can read"),
        ("a: &a [*a]", "the body unfolds into more than anybody can read"),
        (json.dumps(experiment("Weather")), "metadata.name: must be a DNS name"),
        (json.dumps(experiment("a", "../b")), "metadata.namespace: must be a DNS label"),
        (json.dumps({**experiment("a"), "metadata": None}), "metadata"),
    ],
)
async def test_a_body_that_is_no_experiment_is_refused_in_words(api, body, said):
    answer = await api.post("/api/v1/plan", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]


async def test_a_body_of_any_size_is_not_read_to_its_end(listen, caches, temporal):
    async with listen(caches, temporal) as api:
        answer = await api.post("/api/v1/plan", content=b"#" * (3 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["type"]) == (413, "tag:testbench.agentic-layer.ai,2026:TooLarge")


async def test_planning_writes_nothing(api, create, namespace, cluster):
    await create("weather")
    before = await cluster.kubectl("get", "-A", "experiments,configmaps,testworkflows,testtriggers", "-o", "name")
    await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/plan")
    await api.post("/api/v1/plan", json=experiment("sunny", namespace))
    after = await cluster.kubectl("get", "-A", "experiments,configmaps,testworkflows,testtriggers", "-o", "name")
    assert after == before
