"""When a run continues as new, the new one goes on exactly where the old one was: nothing that it knew is lost."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowContinuedAsNewError
from temporalio.exceptions import ApplicationError

from experiments.contract import SIGNAL, WORKFLOW_TYPE, WRITE_STATUS, Result
from experiments.plan import Step
from support.temporal_server import CONTINUES_EARLY, start_dev_server

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")
FORBIDDEN = ApplicationError("may not patch Experiment", type="Forbidden", non_retryable=True)
AWAY = ApplicationError("Testkube does not answer", type="TestkubeUnavailable", non_retryable=True)


@pytest.fixture(scope="module")
async def env():
    """A server that suggests it for every history of more than a few events."""
    async with await start_dev_server(*CONTINUES_EARLY) as running:
        yield running


@pytest.fixture
def moves_on(experiment):
    """`await moves_on(handle)`: the run, which waits, is woken, and continues as new before it looks again."""

    async def wake(handle):
        run = experiment.client.get_workflow_handle(handle.id, run_id=(await handle.describe()).run_id)
        await handle.signal(SIGNAL)
        with pytest.raises(WorkflowContinuedAsNewError):
            await run.result(follow_runs=False)

    return wake


async def test_the_server_has_a_say_in_when(experiment, moves_on):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    experiment.finds()
    await moves_on(handle)
    assert (await handle.result()).reasons == ["generation 1", "woken by hand"]


async def test_what_it_has_seen_and_that_children_have_to_be_read(experiment, moves_on):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1", seen={"Agent a/b": "17"})
    await experiment.waiting(handle)
    experiment.finds()
    await moves_on(handle)
    await handle.result()
    first, *further = experiment.requests("take_snapshot")
    assert not first.certain
    assert all((request.seen, request.certain) == ({"Agent a/b": "17"}, True) for request in further)


async def test_a_run_hands_on_how_long_it_waits_next(experiment, pauses):
    experiment.finds(problem=MISSING, times=2)
    experiment.finds()
    handle = await experiment.start("generation 1")
    await handle.result()
    assert await pauses(experiment.client.get_workflow_handle(handle.id, run_id=handle.result_run_id)) == [1]
    with pytest.raises(WorkflowContinuedAsNewError) as continued:
        await handle.result(follow_runs=False)
    second = continued.value.new_execution_run_id
    assert await pauses(experiment.client.get_workflow_handle(handle.id, run_id=second)) == [2]


async def test_changes_that_no_status_has_said(experiment, moves_on):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(WRITE_STATUS, [FORBIDDEN])
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    experiment.finds(news=False)
    await moves_on(handle)
    result = await handle.result()
    assert [report.changes for report in experiment.requests(WRITE_STATUS)] == [["did apply_config_map"]] * 2
    assert result.changes == ["did apply_config_map"]


async def test_that_nothing_is_left_of_a_deleted_experiment(experiment, moves_on):
    experiment.finds(Step.REMOVE_FINALIZER, problem=("CleanupPending", "TestWorkflow"), deleting=True, news=False)
    handle = await experiment.start("deleted")
    await experiment.waiting(handle)
    experiment.finds(exists=False, news=False)
    await moves_on(handle)
    assert (await handle.result()).outcome == "CleanedUp"


async def test_that_testkube_was_away_when_executions_were_to_be_aborted(experiment, moves_on):
    experiment.finds(Step.ABORT_EXECUTIONS, problem=("CleanupPending", "TestWorkflow"), deleting=True, news=False)
    experiment.fails(Step.ABORT_EXECUTIONS, [AWAY])
    handle = await experiment.start("deleted")
    await experiment.waiting(handle)
    experiment.finds(Step.ABORT_EXECUTIONS, deleting=True, news=False)
    await moves_on(handle)
    await handle.result()
    assert experiment.steps.count(Step.ABORT_EXECUTIONS) == 1


async def test_a_run_of_an_earlier_version_hands_on_its_signals(experiment):
    """As it was written until 2026-11."""
    target = {"namespace": experiment.target.namespace, "name": experiment.target.name, "uid": experiment.target.uid}
    experiment.finds()
    handle = await experiment.client.start_workflow(
        WORKFLOW_TYPE,
        {
            "target": target,
            "pending": [{"reasons": [], "seen": {"Agent a/b": "2"}, "request": ""}],
            "reasons": ["generation 1"],
            "changes": ["created ConfigMap testkube/weather"],
            "requests": ["k-1"],
        },
        id=experiment.target.workflow_id,
        task_queue="workflow",
        result_type=Result,
    )
    result = await handle.result()
    assert (result.reasons, result.changes) == (["generation 1"], ["created ConfigMap testkube/weather"])
    assert [request.seen for request in experiment.requests("take_snapshot")] == [{"Agent a/b": "2"}]
