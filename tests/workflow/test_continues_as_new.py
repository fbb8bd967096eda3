"""A run that goes on for very long continues as a new one, so that no history grows too long to be replayed quickly."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus

from experiments.plan import Step

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")


@pytest.fixture
def run_of(experiment):
    """`await run_of(handle)`: the run that this handle began, as Temporal describes it."""

    async def describe(handle):
        return await experiment.client.get_workflow_handle(handle.id, run_id=handle.result_run_id).describe()

    return describe


async def test_a_run_that_waits_for_half_a_day(experiment, env, run_of, pauses):
    experiment.finds(Step.APPLY_CONFIG_MAP, problem=MISSING)
    experiment.finds(problem=MISSING)
    first = await experiment.start("generation 1")
    await env.sleep(12 * 3600)
    assert (await run_of(first)).status == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert 1000 < (await run_of(first)).history_length < 1020
    await experiment.waiting(first)
    assert set(await pauses(first)) == {300}, "the new run does not begin again with short ones"

    experiment.finds()
    second = await experiment.start("TestWorkflowTemplate created")
    assert second.result_run_id != first.result_run_id
    result = await second.result()
    assert result.reasons == ["generation 1", "TestWorkflowTemplate created"], "of all its time"
    assert result.changes == ["did apply_config_map"]


async def test_no_signal_is_lost_on_the_way(experiment, run_of):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.finds()
    experiment.fails(Step.APPLY_CONFIG_MAP, [RuntimeError("once")])
    async with experiment.stopped_at(Step.APPLY_CONFIG_MAP) as reached:
        first = await experiment.start("generation 1", seen={"Agent a/b": "1"})
        await reached()
        for _ in range(10):
            await asyncio.gather(*(experiment.start("requested", seen={"Agent a/b": "2"}) for _ in range(100)))
        await experiment.start("generation 2")
    result = await first.result()
    assert (await run_of(first)).status == WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert result.reasons == ["generation 1", "requested", "generation 2"]
    assert result.changes == ["did apply_config_map"]
    seen = [request.seen for request in experiment.requests("take_snapshot")]
    assert seen == [{"Agent a/b": "1"}, {"Agent a/b": "2"}], "one pass more, in the new run"
