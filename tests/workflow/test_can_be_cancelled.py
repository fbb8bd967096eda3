"""Somebody who cancels a run in Temporal's UI, whatever it is about, sees it end.

In a file of its own, whose server it has for itself: one that has seen a step outlive its run skips no more time.
"""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from experiments.plan import Step


async def test_a_run_can_be_cancelled_while_it_waits(experiment):
    experiment.finds(problem=("TemplateMissing", "Not yet."))
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED


@pytest.mark.parametrize("step", ["take_snapshot", Step.APPLY_CONFIG_MAP, "write_status"])
async def test_a_run_can_be_cancelled_in_the_middle_of_a_step(experiment, step):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(step, [RuntimeError("once")])
    async with experiment.stopped_at(step) as reached:
        handle = await experiment.start("generation 1")
        await reached()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert (await handle.describe()).status == WorkflowExecutionStatus.CANCELED
    assert experiment.steps[-1] == step, "nothing is done after it"
