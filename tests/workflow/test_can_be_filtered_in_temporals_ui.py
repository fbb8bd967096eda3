"""Search attributes, where Temporal's namespace has them: runs are found by namespace, reasons and outcome."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from experiments.contract import Urgency, WakeSignal
from support.polling import until
from support.temporal_server import CONTINUES_EARLY, start_dev_server
from temporal.client import starter
from temporal.search_attributes import EXPERIMENT_NAMESPACE, KEYS, RECONCILIATION_OUTCOME, RECONCILIATION_REASONS

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")


@pytest.fixture(scope="module")
async def env():
    """A server that has them, and wants runs to continue as new after a few events."""
    async with await start_dev_server(*CONTINUES_EARLY, search_attributes=KEYS) as running:
        yield running


@pytest.fixture
def start(env, experiment):
    """`await start("generation 1")`, as watcher and api do it with the setting on."""
    ask = starter(env.client, "workflow", search_attributes=True)

    async def run(*reasons):
        await ask(experiment.target, WakeSignal(list(reasons)), Urgency.CHANGED)
        return env.client.get_workflow_handle(experiment.target.workflow_id)

    return run


@pytest.fixture
def attributes():
    """`await attributes(handle)`: namespace, outcome and reasons."""

    async def read(handle):
        found = (await handle.describe()).typed_search_attributes
        return tuple(found.get(key) for key in (EXPERIMENT_NAMESPACE, RECONCILIATION_OUTCOME, RECONCILIATION_REASONS))

    return read


async def test_an_open_run_has_no_outcome_yet(experiment, start, attributes):
    experiment.finds(problem=MISSING)
    handle = await start("generation 1")
    await experiment.waiting(handle)
    assert await attributes(handle) == ("default", None, ["generation 1"])


async def test_a_run_that_completes_says_what_it_came_to(experiment, start, attributes):
    experiment.finds()
    handle = await start("generation 1", "requested")
    await handle.result()
    assert await attributes(handle) == ("default", "Reconciled", ["generation 1", "requested"])


async def test_also_one_that_has_continued_as_new_with_the_reasons_of_all_its_time(experiment, start, attributes):
    experiment.finds(problem=MISSING)
    handle = await start("generation 1")
    await experiment.waiting(handle)
    experiment.finds()
    await start("TestWorkflowTemplate created")
    await handle.result()
    assert (await handle.describe()).raw_info.first_run_id != (await handle.describe()).run_id
    assert await attributes(handle) == ("default", "Reconciled", ["generation 1", "TestWorkflowTemplate created"])


async def test_one_that_fails_is_found_by_its_reason(env, experiment, start):
    experiment.finds(problem=("InvalidSchedule", "There is no 31st of February."))
    handle = await start("generation 1")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    query = (
        "ExperimentNamespace = 'default' AND ReconciliationOutcome = 'InvalidSchedule' "
        "AND ReconciliationReasons = 'generation 1'"
    )

    async def listed():
        return [run.id async for run in env.client.list_workflows(query)]

    assert await until(listed) == [handle.id]


async def test_whatever_people_write_can_be_filtered(experiment, start, attributes):
    experiment.finds()
    handle = await start(*(f"requested: {number} {'🌦' * 200}" for number in range(50)))
    await handle.result()
    _, outcome, reasons = await attributes(handle)
    assert outcome == "Reconciled"
    assert reasons[0].startswith("requested: 0")


async def test_a_run_that_began_without_them_ends_without_them(env, experiment, attributes):
    experiment.finds()
    await starter(env.client, "workflow")(experiment.target, WakeSignal(["generation 1"]), Urgency.CHANGED)
    handle = env.client.get_workflow_handle(experiment.target.workflow_id)
    await handle.result()
    assert await attributes(handle) == (None, None, None)
    kinds = {event.event_type for event in (await handle.fetch_history()).events}
    assert EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES not in kinds
