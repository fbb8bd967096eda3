"""What time or another object can cure keeps the run open; what only a person can help with fails it. Both say so."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from support.world import World


async def test_a_missing_gateway_is_waited_for(world: World):
    await world.create(aiGatewayRef={"name": "judge", "namespace": world.namespace})
    status = await world.reported(reason="GatewayMissing")
    assert status.condition("WorkflowReady").status == "False"
    assert (await world.runs())[0].close_time is None

    await world.gateway("judge")
    await world.reported()
    assert (await world.use())["evaluate"]["openAiBasePath"] == f"http://judge.{world.namespace}.svc.cluster.local:4000"
    assert len(await world.closed_runs(1)) == 1, "it was the same run"


async def test_an_endpoint_that_is_none_reaches_no_phase_and_is_waited_for(world: World):
    await world.otel_config("http://otel:4318\nHTTP_PROXY=http://elsewhere")
    await world.create()
    status = await world.reported(reason="ValueRefused")
    said = status.condition("WorkflowReady").message
    assert said.startswith(
        f"OTEL_EXPORTER_OTLP_ENDPOINT of ConfigMap {world.namespace}/otel-config: must be an http://"
    )
    assert await world.get(world.places().test_workflow) is None

    await world.otel_config("http://otel:4318")
    await world.reported()
    container = (await world.kube.get(world.places().test_workflow))["spec"]["container"]
    assert {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"} in container["env"]


async def test_an_agent_without_a2a_fails_the_run_with_the_reason_as_its_type(world: World):
    await world.agent(protocols=[{"type": "OpenAI", "port": 8000}])
    await world.create()
    status = await world.reported(reason="AgentWithoutA2A")
    assert status.condition("AgentResolved").status == "False"

    (run,) = await world.closed_runs(1)
    assert run.status == WorkflowExecutionStatus.FAILED
    with pytest.raises(WorkflowFailureError) as failure:
        await world.temporal.get_workflow_handle(run.id, run_id=run.run_id).result()
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "AgentWithoutA2A"
    assert "speaks OpenAI" in str(cause)
    assert [(e["type"], e["reason"]) for e in await world.until(world.events)] == [("Warning", "AgentWithoutA2A")]


async def test_a_failed_run_is_followed_by_another_when_its_cause_goes_away(world: World):
    await world.create(schedule={"cron": "0 0 30 2 *"})
    await world.reported(reason="InvalidSchedule")
    await world.closed_runs(1)
    await world.edit(schedule={"cron": "0 0 28 2 *"})
    await world.reported()
    failed, completed = reversed(await world.closed_runs(2))
    assert (failed.status.name, completed.status.name) == ("FAILED", "COMPLETED")


async def test_suspended_means_hands_off_until_it_is_resumed(world: World):
    await world.create()
    await world.reported()
    await world.edit(suspend=True, trigger={"enabled": False})
    await world.reported(reason="Suspended")
    before = await world.kube.get(world.places().test_trigger)
    await world.cluster.kubectl("delete", "testworkflow", world.places().test_workflow.name, "-n", "testkube")
    await world.edit(llmAsAJudgeModel="gpt-4o")
    await world.reported(reason="Suspended")
    assert await world.get(world.places().test_workflow) is None
    assert await world.get(world.places().test_trigger) == before

    await world.edit(suspend=False)
    await world.reported()
    assert await world.get(world.places().test_workflow)
    assert await world.get(world.places().test_trigger) is None


async def test_a_suspended_experiment_can_still_be_deleted(world: World):
    await world.create()
    await world.reported()
    await world.edit(suspend=True)
    await world.reported(reason="Suspended")
    await world.cluster.kubectl("delete", "exp", "demo", "-n", world.namespace, "--timeout=20s")
    assert await world.children() == [None, None, None]


async def test_requested_at_forces_one_run(world: World):
    await world.create()
    await world.reported()
    await world.closed_runs(1)
    annotation = "testbench.agentic-layer.ai/requested-at=2026-11-23T12:00:00Z"
    await world.cluster.kubectl("annotate", "exp", "demo", "-n", world.namespace, annotation)
    await world.until(
        world.status, lambda s: s.last_reconciliation and s.last_reconciliation.requested_at == annotation.split("=")[1]
    )
    await world.closed_runs(2)
    assert (await world.reasons())[-1] == ["requested"]
