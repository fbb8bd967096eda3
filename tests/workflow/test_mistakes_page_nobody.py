"""A run that fails since somebody has to correct the Experiment is no failure of the service to those who watch it."""

from __future__ import annotations

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationErrorCategory
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig

import worker.main
from experiments.contract import RECONCILIATIONS, SIGNAL, WORKFLOW_TYPE, RunState, WakeSignal

_METRICS_KEPT = 10_000


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class CannotGoOn:
    @workflow.run
    async def run(self, _: RunState) -> None:
        raise workflow.NondeterminismError("as when newer code cannot continue it")

    @workflow.signal(name=SIGNAL)
    def wake(self, wakeup: WakeSignal | None = None) -> None: ...


@pytest.fixture
def counted():
    """What the SDK counts in this process, to be read once."""
    return MetricBuffer(_METRICS_KEPT)


@pytest.fixture
async def failed_run(env, stand_ins, counted):
    """`await failed_run()`: begins a run of an Experiment with a mistake; the failure with which it ends."""
    runtime = Runtime(telemetry=TelemetryConfig(metrics=counted))
    address = env.client.service_client.config.target_host
    client = await Client.connect(address, data_converter=pydantic_data_converter, runtime=runtime)
    experiment = stand_ins.experiment(client)
    experiment.finds(problem=("InvalidSchedule", "There is no 31st of February."))

    async def run():
        async with stand_ins.worker(client):
            handle = await experiment.start("generation 1")
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
        return failed.value.cause

    return run


async def test_a_mistake_is_counted_among_outcomes_and_not_among_failures(failed_run, counted):
    error = await failed_run()
    names = {update.metric.name for update in counted.retrieve_updates()}
    assert error.category == ApplicationErrorCategory.BENIGN
    assert RECONCILIATIONS in names
    assert "temporal_workflow_failed" not in names


async def test_a_run_that_no_version_can_continue_is_counted_among_failures(failed_run, counted, monkeypatch):
    monkeypatch.setattr(worker.main, "ReconcileExperiment", CannotGoOn)
    await failed_run()
    assert "temporal_workflow_failed" in {update.metric.name for update in counted.retrieve_updates()}
