"""What is changed in an Experiment, or in what it depends on, is changed in its children."""

from __future__ import annotations

from itertools import pairwise

from support.world import World


async def test_changed_scenarios_reach_the_mounted_file(world: World):
    await world.create()
    await world.reported()
    await world.edit(scenarios=[{"name": "other", "steps": [{"input": "Goodbye?"}]}])
    await world.reported()
    assert [s["name"] for s in (await world.experiment_json())["scenarios"]] == ["other"]


async def test_a_dataset_replaces_scenarios_and_back(world: World):
    await world.create()
    await world.reported()
    await world.edit(scenarios=None, dataset={"s3": {"bucket": "data", "key": "weather.csv"}})
    await world.reported()

    workflow = await world.kube.get(world.places().test_workflow)
    assert "content" not in workflow["spec"], "the file is setup's own in dataset mode"
    use = await world.use()
    assert list(use) == ["setup", "run", "evaluate", "publish", "visualize"]
    assert use["setup"] == {"bucket": "data", "key": "weather.csv"}

    await world.edit(dataset=None, scenarios=[{"name": "back", "steps": [{"input": "Again?"}]}])
    await world.reported()
    workflow = await world.kube.get(world.places().test_workflow)
    assert workflow["spec"]["content"]["files"][0]["path"].endswith("/datasets/experiment.json")
    assert "setup" not in await world.use()


async def test_the_trigger_comes_and_goes_with_its_switch(world: World):
    await world.create(trigger=None)
    status = await world.reported()
    assert await world.get(world.places().test_trigger) is None
    assert status.condition("TriggerReady") is None

    await world.edit(trigger={"enabled": True, "concurrencyPolicy": "Forbid"})
    status = await world.reported()
    trigger = await world.kube.get(world.places().test_trigger)
    assert (trigger["spec"]["event"], trigger["spec"]["concurrencyPolicy"]) == ("modified", "forbid")
    assert status.condition("TriggerReady").status == "True"

    await world.edit(trigger={"enabled": False})
    status = await world.reported()
    assert await world.get(world.places().test_trigger) is None
    assert {r.kind for r in status.generated_resources} == {"ConfigMap", "TestWorkflow"}


async def test_a_field_that_is_no_longer_wanted_disappears(world: World):
    await world.create(schedule={"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}, env=[{"name": "A", "value": "1"}])
    await world.reported()
    workflow = await world.kube.get(world.places().test_workflow)
    assert workflow["spec"]["events"] == [{"cronjob": {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}}]

    await world.edit(schedule=None, env=None)
    await world.reported()
    workflow = await world.kube.get(world.places().test_workflow)
    assert "events" not in workflow["spec"]
    assert "A" not in {variable["name"] for variable in workflow["spec"]["container"]["env"]}


async def test_the_agents_url_is_followed_as_it_appears_changes_and_goes(world: World):
    await world.create()
    status = await world.reported()
    fallback = f"http://weather.{world.namespace}.svc.cluster.local:8000"
    assert (status.agent_url, status.condition("AgentResolved").reason) == (fallback, "AgentNotFound")

    async def passed_on():
        return (await world.use())["run"]["agentUrl"], (await world.status()).condition("AgentResolved").reason

    card = "http://weather.svc:8000/v1/.well-known/agent-card.json"
    await world.agent(url=card)
    await world.until(passed_on, lambda told: told == ("http://weather.svc:8000/v1", "AgentReady"))
    await world.agent(url=card.replace("8000", "9000"))
    await world.until(passed_on, lambda told: told == ("http://weather.svc:9000/v1", "AgentReady"))
    await world.agent(url=None)
    await world.until(passed_on, lambda told: told == ("http://weather.svc:9000/v1", "AgentNotReady"))
    await world.cluster.kubectl("delete", "agent", "weather", "-n", world.namespace)
    await world.until(passed_on, lambda told: told == (fallback, "AgentNotFound"))
    assert ["agent URL changed"] in await world.reasons()


async def test_the_otlp_endpoint_is_followed(world: World):
    await world.create()
    await world.reported()

    async def endpoints():
        workflow = await world.kube.get(world.places().test_workflow)
        env = {variable["name"]: variable["value"] for variable in workflow["spec"]["container"]["env"]}
        use = await world.use()
        parameters = [use[phase].get("otelExporterOtlpEndpoint") for phase in ("run", "publish")]
        return [*parameters, env.get("OTEL_EXPORTER_OTLP_ENDPOINT"), env.get("OTEL_SDK_DISABLED")]

    assert await endpoints() == [None, None, None, "true"]
    await world.otel_config("http://lgtm:4318")
    await world.until(endpoints, lambda told: told == ["http://lgtm:4318"] * 3 + [None])
    await world.otel_config("http://tempo:4318")
    await world.until(endpoints, lambda told: told == ["http://tempo:4318"] * 3 + [None])
    await world.cluster.kubectl("delete", "configmap", "otel-config", "-n", world.namespace)
    await world.until(endpoints, lambda told: told == [None, None, None, "true"])


async def test_fifty_edits_while_busy_cause_at_most_two_more_runs(world: World):
    await world.create()
    for number in range(50):
        await world.edit(llmAsAJudgeModel=f"model-{number}")
    await world.reported()
    assert (await world.experiment_json())["llm_as_a_judge_model"] == "model-49"
    runs = await world.until(world.runs, lambda found: found and all(run.close_time for run in found))
    spans = sorted((run.start_time, run.close_time) for run in runs)
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), "runs overlap"
