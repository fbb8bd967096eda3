"""A waiting run may outlive the code that began it: where newer code cannot continue it, it makes room for another."""

from __future__ import annotations

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError

import worker.main
from experiments.contract import SIGNAL, WORKFLOW_TYPE, RunState, WakeSignal
from support.temporal_server import start_dev_server

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class GoesAnotherWay:
    """What newer code may look like to a run that an older version began."""

    @workflow.run
    async def run(self, _: RunState) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal(name=SIGNAL)
    def wake(self, wakeup: WakeSignal | None = None) -> None: ...


@pytest.fixture(scope="module")
async def env():
    """The server that skips time keeps a run for the worker that is gone."""
    async with await start_dev_server() as running:
        yield running


@pytest.fixture
async def waiting_run(env, stand_ins):
    """An Experiment with a run that waits, and no worker any more."""
    experiment = stand_ins.experiment(env.client)
    experiment.finds(problem=MISSING)
    async with stand_ins.worker(env.client):
        handle = await experiment.start("generation 1")
        await experiment.waiting(handle)
    return experiment, handle


async def test_the_same_code_goes_on_where_it_was(env, stand_ins, waiting_run):
    experiment, handle = waiting_run
    experiment.finds()
    async with stand_ins.worker(env.client):
        await experiment.start("TestWorkflowTemplate created")
        result = await handle.result()
    assert result.reasons == ["generation 1", "TestWorkflowTemplate created"]


async def test_a_run_that_newer_code_cannot_continue_fails(env, stand_ins, waiting_run, monkeypatch):
    experiment, handle = waiting_run
    monkeypatch.setattr(worker.main, "ReconcileExperiment", GoesAnotherWay)
    async with stand_ins.worker(env.client):
        await experiment.start("TestWorkflowTemplate created")
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        assert "Nondeterminism" in str(failed.value.cause)


async def test_the_next_reason_then_begins_a_new_run(env, stand_ins, waiting_run, monkeypatch):
    experiment, old = waiting_run
    with monkeypatch.context() as newer:
        newer.setattr(worker.main, "ReconcileExperiment", GoesAnotherWay)
        async with stand_ins.worker(env.client):
            await experiment.start("TestWorkflowTemplate created")
            with pytest.raises(WorkflowFailureError):
                await old.result()
    experiment.finds()
    async with stand_ins.worker(env.client):
        new = await experiment.start("TestWorkflowTemplate created")
        assert (await new.result()).outcome == "Reconciled"
