"""A run notes in its memo what lists and filters need, within the 2 KiB above which the server complains."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter

from experiments.contract import SIGNAL, Result, Target, WakeSignal, memo
from experiments.plan import Step

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")


async def test_how_it_ended_and_all_its_reasons(experiment):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    experiment.finds(Step.APPLY_CONFIG_MAP)
    await experiment.start("TestWorkflowTemplate created")
    await handle.result()
    assert await (await handle.describe()).memo() == {
        "experiment": f"default/{experiment.target.name}",
        "outcome": "Reconciled",
        "message": "The cluster is as the Experiment says.",
        "reasons": ["generation 1", "TestWorkflowTemplate created"],
        "changes": ["did apply_config_map"],
    }


async def test_a_run_that_failed_has_noted_what_lists_need(experiment):
    experiment.finds(problem=("InvalidSchedule", "There is no 31st of February."))
    handle = await experiment.start("generation 1")
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await (await handle.describe()).memo())["outcome"] == "InvalidSchedule"


async def test_a_run_that_continues_as_new_takes_its_notes_along(experiment, env):
    experiment.finds(problem=MISSING)
    first = await experiment.start("requested")
    await env.sleep(12 * 3600)
    described = await experiment.client.get_workflow_handle(first.id, run_id=first.result_run_id).describe()
    assert described.status == WorkflowExecutionStatus.CONTINUED_AS_NEW
    latest = await experiment.client.get_workflow_handle(first.id).describe()
    assert (await latest.memo())["reasons"] == ["requested"]
    experiment.finds()
    second = await experiment.start("generation 2")
    assert (await second.result()).reasons == ["requested", "generation 2"]


async def test_however_much_people_write(experiment):
    """Reasons of 200 characters that take four bytes each, from hundreds of requests."""
    experiment.finds(Step.APPLY_CONFIG_MAP)
    async with experiment.stopped_at(Step.APPLY_CONFIG_MAP) as reached:
        handle = await experiment.start("generation 1")
        await reached()
        for number in range(120):
            await handle.signal(SIGNAL, WakeSignal([f"requested: {number} {'🌦' * 200}"]))
    result = await handle.result()
    assert len(result.reasons) == 50
    assert (await handle.describe()).raw_description.workflow_execution_info.memo.ByteSize() < 2048


@pytest.mark.parametrize("length", [100, 150, 200, 250, 1000])
def test_the_longest_names_fit_too(length):
    """Whether the result just fits into it or does not any more."""
    reasons = [f"{number} {'🌦' * (length // 10)}" for number in range(10)]
    result = Result("ExperimentTooLarge", "m" * length, 1, reasons, ["c" * length])
    noted = memo(Target("n" * 63, "e" * 253, "u" * 36), reasons, result)
    assert sum(_on_the_wire(key, value) for key, value in noted.items()) < 2048


def _on_the_wire(key, value):
    [payload] = pydantic_data_converter.payload_converter.to_payloads([value])
    return len(key) + payload.ByteSize() + 10
