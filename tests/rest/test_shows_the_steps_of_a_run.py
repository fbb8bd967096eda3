"""One run: which steps it took, what each came to in words, what it waits for, and what woke it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from experiments.contract import WORKFLOW_TYPE, Result, RunState
from experiments.plan import Step
from support.polling import until


@pytest.fixture
def show(api):
    """`await show(target, run_id)`: the run, once visibility knows it; with `when`, once that holds of it."""

    async def fetch(target, run_id, when=lambda _: True):
        url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations/{run_id}"

        async def found():
            answer = await api.get(url)
            return answer.json() if answer.status_code == 200 and when(answer.json()) else None

        return await until(found)

    return fetch


async def test_steps_come_in_order_with_results_in_words(runs, target, show):
    runs.plan(target.name, Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW)
    run = await show(target, await runs.finish(target, "generation 3"))
    assert [(step["name"], step["kind"], step["attempts"]) for step in run["steps"]] == [
        ("take_snapshot", "local", 1),
        ("apply_config_map", "local", 1),
        ("apply_test_workflow", "local", 1),
        ("write_status", "local", 1),
    ]
    assert [step["result"] for step in run["steps"]] == [
        f"Generation 3: do apply_config_map on {target.name}; do apply_test_workflow on {target.name}.",
        f"did apply_config_map on {target.name}",
        f"did apply_test_workflow on {target.name}",
        f"wrote the status of {target.name}",
    ]
    times = [time for step in run["steps"] for time in (step["startTime"], step["endTime"])]
    assert times == sorted(times)
    assert (run["outcome"], run["reasons"]) == ("Reconciled", ["generation 3"])
    assert (run["statusWritten"], run["currentStep"]) == (f"wrote the status of {target.name}", None)
    assert [signal["reasons"] for signal in run["signals"]] == [["generation 3"]]


async def test_a_step_that_is_being_retried_shows_its_attempts_and_last_failure(runs, target, show):
    runs.plan(target.name, Step.APPLY_CONFIG_MAP)
    runs.broken[target.name] = Step.APPLY_CONFIG_MAP
    handle = await runs.start(target, "generation 3")

    def pauses(run):
        return run["currentStep"] and run["currentStep"]["attempts"] > 1 and run["currentStep"]["nextAttemptTime"]

    run = await show(target, handle.result_run_id, pauses)
    first, retried = run["steps"][-2:]
    assert run["currentStep"] == retried
    assert retried["nextAttemptTime"] > retried["startTime"]
    assert run["message"] == "ApiUnavailable: the API server is away"
    assert (first["name"], first["kind"], first["attempts"]) == ("apply_config_map", "local", 1)
    assert first["failure"] == "ApiUnavailable: the API server is away"
    assert (retried["name"], retried["kind"], retried["endTime"]) == ("apply_config_map", "regular", None)
    assert retried["failure"] == "ApiUnavailable: the API server is away"
    assert run["outcome"] == "Running"

    del runs.broken[target.name]
    await handle.result()
    run = await show(target, handle.result_run_id)
    _, _, retried, _ = run["steps"]
    assert retried["attempts"] > 1
    assert retried["result"] == f"did apply_config_map on {target.name}"
    assert run["changes"] == [retried["result"]]
    assert run["currentStep"] is retried["nextAttemptTime"] is None
    assert run["message"] == "The cluster is as the Experiment says."


async def test_a_run_that_waits_says_for_what_and_who_woke_it(runs, target, show):
    runs.plan(target.name, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(target, "generation 3")
    waiting = await show(target, handle.result_run_id, lambda run: run["steps"] and run["steps"][-1]["kind"] == "timer")
    assert waiting["steps"][0]["result"] == "Generation 3: nothing to change. GatewayMissing: There is no AiGateway."
    wait = waiting["currentStep"]
    assert wait == waiting["steps"][-1]
    assert wait["result"].startswith("Looks again in ")
    begun, due = (datetime.fromisoformat(wait[key]) for key in ("startTime", "nextAttemptTime"))
    assert timedelta(seconds=1) <= due - begun <= timedelta(minutes=5)
    assert waiting["message"] == "GatewayMissing: There is no AiGateway."

    runs.plan(target.name, Step.APPLY_TEST_WORKFLOW)
    await runs.start(target, "AiGateway created")
    await handle.result()
    run = await show(target, handle.result_run_id)
    assert all(step["endTime"] for step in run["steps"] if step["kind"] == "timer")
    assert [signal["reasons"] for signal in run["signals"]] == [["generation 3"], ["AiGateway created"]]
    assert run["reasons"] == ["generation 3", "AiGateway created"]


async def test_a_run_in_progress_tells_what_it_has_changed_so_far(runs, target, show):
    runs.plan(target.name, Step.APPLY_CONFIG_MAP, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(target, "generation 3")
    run = await show(target, handle.result_run_id, lambda run: run["statusWritten"])
    assert (run["status"], run["changes"]) == ("Running", [f"did apply_config_map on {target.name}"])
    await handle.terminate()
    run = await show(target, handle.result_run_id, lambda run: run["status"] == "Terminated")
    assert run["currentStep"] is None
    assert not any(step["nextAttemptTime"] for step in run["steps"])


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class Repaired:
    @workflow.run
    async def run(self, _: RunState) -> Result:
        changes = [
            "added finalizer testbench.agentic-layer.ai/cleanup",
            "created ConfigMap testkube/weather-experiment.default",
            "changed TestWorkflow testkube/weather-workflow.default (spec.use[0].config.agentUrl, spec.events)",
            "deleted TestTrigger testkube/weather-trigger.default",
        ]
        return Result("Reconciled", "The cluster is as the Experiment says.", 1, ["generation 1"], changes)


async def test_changes_are_told_apart_by_child(temporal, target, show):
    queue = f"repaired-{uuid4().hex[:8]}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(temporal, task_queue=queue, workflows=[Repaired], workflow_runner=runner):
        handle = await temporal.start_workflow(WORKFLOW_TYPE, RunState(target), id=target.workflow_id, task_queue=queue)
        await handle.result()
    run = await show(target, handle.result_run_id)
    assert len(run["changes"]) == 4
    assert [tuple(change.values()) for change in run["children"]] == [
        ("create", "ConfigMap", "testkube", "weather-experiment.default", []),
        (
            "change",
            "TestWorkflow",
            "testkube",
            "weather-workflow.default",
            ["spec.use[0].config.agentUrl", "spec.events"],
        ),
        ("delete", "TestTrigger", "testkube", "weather-trigger.default", []),
    ]


async def test_a_run_that_has_ended_is_sent_once(runs, target, show, api):
    runs.plan(target.name)
    run_id = await runs.finish(target, "generation 3")
    await show(target, run_id)
    url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations/{run_id}"
    etag = (await api.get(url)).headers["ETag"]
    assert (await api.get(url, headers={"If-None-Match": etag})).status_code == 304


async def test_a_run_is_found_only_under_its_own_experiment(runs, target, show, api):
    runs.plan(target.name)
    run_id = await runs.finish(target, "generation 3")
    await show(target, run_id)
    for other in (replace(target, name="weather"), replace(target, namespace="other")):
        url = f"/api/v1/namespaces/{other.namespace}/experiments/{other.name}/reconciliations/{run_id}"
        assert (await api.get(url)).status_code == 404


async def test_an_unknown_run_is_not_found(api, target):
    run_id = uuid4()
    url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations/{run_id}"
    answer = await api.get(url)
    assert answer.status_code == 404
    assert f"Temporal has no run {run_id}" in answer.json()["detail"]
