"""Runs that are open while workers are upgraded are continued by newer code, which has to go the way they went so far.

`histories/` holds what such runs look like, `histories/earlier/` what they looked like before summaries, RunState and
search attributes (2026-11). Where one does not replay any more, the workflow has changed in a way that open runs cannot
follow: keep both ways with `workflow.patched`, or let open runs drain before the upgrade. They are short, and one that
newer code cannot continue fails and is begun again, so it is rarely worth more than recording anew:

    pytest tests/workflow/test_replays_saved_histories.py --record-histories
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer

from experiments.contract import SIGNAL, WORKFLOW_TYPE, RunState, Urgency, WakeSignal
from experiments.plan import Step
from support.histories import save
from temporal.client import starter
from worker.workflow import ReconcileExperiment

HISTORIES = Path(__file__).parent / "histories"
EARLIER = sorted(f"earlier/{path.stem}" for path in (HISTORIES / "earlier").glob("*.json"))
AWAY = ApplicationError("the API server is away", type="ApiUnavailable")


async def new_experiment(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW, Step.APPLY_TEST_TRIGGER)
    handle = await experiment.start("generation 1")
    await handle.result()
    return handle


async def repaired_at_the_second_attempt(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, news=False)
    experiment.fails(Step.APPLY_CONFIG_MAP, [AWAY])
    handle = await experiment.start("ConfigMap edited by kubectl-edit")
    await handle.result()
    return handle


async def reported_and_waited(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, times=2)
    experiment.finds()
    refused = ApplicationError("may not create ConfigMap", type="Forbidden", non_retryable=True)
    experiment.fails(Step.APPLY_CONFIG_MAP, [refused, refused])
    handle = await experiment.start("generation 1")
    await handle.result()
    return handle


async def woken_by_a_signal(experiment):
    experiment.finds(problem=("TemplateMissing", "There is no TestWorkflowTemplate run-template."))
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    experiment.finds(Step.APPLY_CONFIG_MAP)
    await experiment.start("TestWorkflowTemplate created")
    await handle.result()
    return handle


async def looked_again_at_once(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.finds()
    experiment.fails(Step.APPLY_CONFIG_MAP, [ApplicationError("already exists", type="Stale", non_retryable=True)])
    handle = await experiment.start("generation 1")
    await handle.result()
    return handle


async def failed_for_good(experiment):
    experiment.finds(problem=("InvalidSchedule", "There is no 31st of February."))
    handle = await experiment.start("generation 1")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    return handle


async def deleted(experiment):
    steps = (Step.DELETE_TEST_TRIGGER, Step.DELETE_TEST_WORKFLOW, Step.DELETE_CONFIG_MAP, Step.REMOVE_FINALIZER)
    experiment.finds(*steps, deleting=True, news=False)
    handle = await experiment.start("deleted")
    await handle.result()
    return handle


async def continued_as_new(experiment):
    experiment.finds()
    experiment.fails("take_snapshot", [AWAY])
    async with experiment.stopped_at("take_snapshot") as reached:
        handle = await experiment.start("generation 1")
        await reached()
        for _ in range(20):
            await asyncio.gather(*(handle.signal(SIGNAL) for _ in range(50)))
    await handle.result()
    return handle


async def asked_with_idempotency_keys(experiment):
    """As the api and the workflow wrote them until 2026-11: `requests` and `request` are no fields any more."""
    experiment.finds(problem=("TemplateMissing", "There is no TestWorkflowTemplate run-template."))
    target = {"namespace": experiment.target.namespace, "name": experiment.target.name, "uid": experiment.target.uid}

    async def ask(reason, key):
        return await experiment.client.start_workflow(
            WORKFLOW_TYPE,
            {"target": target, "pending": [], "reasons": ["generation 1"], "changes": [], "requests": ["k-0"]},
            id=experiment.target.workflow_id,
            task_queue="workflow",
            start_signal=SIGNAL,
            start_signal_args=[{"reasons": [reason], "seen": {}, "request": key}],
        )

    handle = await ask("requested", "k-1")
    await experiment.waiting(handle)
    experiment.finds(Step.APPLY_CONFIG_MAP)
    await ask("requested: once more", "k-2")
    await handle.result()
    return handle


async def went_on_as_a_new_run(experiment):
    experiment.finds(problem=("TemplateMissing", "There is no TestWorkflowTemplate run-template."), news=False)
    experiment.finds(Step.APPLY_CONFIG_MAP)
    state = RunState(
        experiment.target,
        reasons=["generation 1"],
        changes=["created ConfigMap testkube/weather"],
        unreported=["created ConfigMap testkube/weather"],
        seen={"Agent default/weather": "17"},
        attempt=1,
    )
    handle = await experiment.client.start_workflow(
        WORKFLOW_TYPE, state, id=experiment.target.workflow_id, task_queue="workflow"
    )
    await handle.result()
    return handle


async def sent_nonsense(experiment):
    experiment.finds(problem=("TemplateMissing", "There is no TestWorkflowTemplate run-template."))
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    for arguments in ([1, 2], ["please"], [{"reasons": 7}]):
        await handle.signal(SIGNAL, args=arguments)
    experiment.finds()
    await handle.signal(SIGNAL)
    await handle.result()
    return handle


async def testkube_was_away(experiment):
    experiment.finds(Step.ABORT_EXECUTIONS, Step.DELETE_CONFIG_MAP, Step.REMOVE_FINALIZER, deleting=True, news=False)
    experiment.fails(Step.ABORT_EXECUTIONS, [ApplicationError("refused", type="Forbidden", non_retryable=True)])
    handle = await experiment.start("deleted")
    await handle.result()
    return handle


async def made_anew(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.finds(news=False)
    experiment.fails(Step.APPLY_CONFIG_MAP, [ApplicationError("immutable", type="Immutable", non_retryable=True)])
    handle = await experiment.start("ConfigMap edited by kubectl-edit")
    await handle.result()
    return handle


async def with_search_attributes(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    await starter(experiment.client, "workflow", search_attributes=True)(
        experiment.target, WakeSignal(["generation 1"]), Urgency.CHANGED
    )
    handle = experiment.client.get_workflow_handle(experiment.target.workflow_id)
    await handle.result()
    return handle


async def carried_out_together(experiment):
    experiment.finds(Step.ADD_FINALIZER, Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW, together=3)
    experiment.goes("added finalizer", "created ConfigMap")
    start = starter(experiment.client, "workflow", beside_worker=True)
    await start(experiment.target, WakeSignal(["generation 1"]), Urgency.CHANGED)
    handle = experiment.client.get_workflow_handle(experiment.target.workflow_id)
    await handle.result()
    return handle


async def reported_in_the_same_step(experiment):
    experiment.finds(Step.ADD_FINALIZER, Step.APPLY_CONFIG_MAP, together=2, reportable=True)
    experiment.goes("added finalizer", "created ConfigMap", reported="Ready=True Reconciled: all is well")
    handle = await experiment.start("generation 1")
    await handle.result()
    return handle


KINDS = {
    kind.__name__: kind
    for kind in (
        new_experiment,
        repaired_at_the_second_attempt,
        reported_and_waited,
        woken_by_a_signal,
        looked_again_at_once,
        failed_for_good,
        deleted,
        continued_as_new,
        asked_with_idempotency_keys,
        went_on_as_a_new_run,
        sent_nonsense,
        testkube_was_away,
        made_anew,
        with_search_attributes,
        carried_out_together,
        reported_in_the_same_step,
    )
}


@pytest.fixture
def replayer():
    """In the sandbox, as by default: what is not deterministic is refused there."""
    return Replayer(workflows=[ReconcileExperiment], data_converter=pydantic_data_converter)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_runs_today_replays(experiment, replayer, request, kind):
    handle = await KINDS[kind](experiment)
    run = experiment.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)
    history = await run.fetch_history()
    if request.config.getoption("--record-histories"):
        save(HISTORIES / f"{kind}.json", history)
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("kind", [*KINDS, *EARLIER])
async def test_what_ran_before_replays(replayer, kind):
    await replayer.replay_workflow(saved(kind))


def test_nothing_is_saved_that_nobody_can_record():
    assert {path.stem for path in HISTORIES.glob("*.json")} == set(KINDS)


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class GoesAnotherWay:
    @workflow.run
    async def run(self, _: RunState) -> None:
        await workflow.sleep(1)

    @workflow.signal(name=SIGNAL)
    def wake(self, wakeup: WakeSignal | None = None) -> None: ...


@pytest.mark.parametrize("kind", KINDS)
async def test_a_workflow_that_goes_another_way_is_found_out(kind):
    replayer = Replayer(workflows=[GoesAnotherWay], data_converter=pydantic_data_converter)
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(saved(kind))


def saved(kind: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"experiment/default/weather/{kind}", (HISTORIES / f"{kind}.json").read_text())
