"""A run whose workflow task fails each time hears no signal; it is ended, and another begins."""

from __future__ import annotations

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from experiments.contract import WORKFLOW_TYPE, Target, Urgency, WakeSignal
from support.polling import until
from temporal.client import starter
from temporal.stuck import end_stuck_run

TARGET = Target("default", "stuck", "uid-of-stuck")


@workflow.defn(name=WORKFLOW_TYPE)
class Broken:
    """Fails its workflow task, as a defect in the workflow's code would."""

    @workflow.run
    async def run(self, _: object) -> None:
        raise RuntimeError("a defect")

    @workflow.signal
    def wake(self, _: object) -> None: ...


async def test_it_is_ended_and_the_next_start_begins_another(temporal, task_queue, monkeypatch):
    monkeypatch.setattr("temporal.stuck.MAX_ATTEMPTS", 2)  # further ones come after 10 s each
    start = starter(temporal, task_queue)
    handle = temporal.get_workflow_handle(TARGET.workflow_id)
    async with Worker(temporal, task_queue=task_queue, workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner()):
        first = await start(TARGET, WakeSignal(["generation 1"]), Urgency.CHANGED)
        assert await start(TARGET, WakeSignal(["deleted"]), Urgency.CHANGED) == first
        await until(lambda: end_stuck_run(temporal, TARGET))
        assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED
        assert await start(TARGET, WakeSignal(["deleted"]), Urgency.CHANGED) != first
    await handle.terminate()


@pytest.mark.parametrize("begun", [False, True])
async def test_what_is_not_stuck_goes_on(temporal, task_queue, begun):
    """Without a worker nothing has been tried, and nothing has failed."""
    target = Target("default", "fine", f"uid-of-fine-{begun}")
    if begun:
        await starter(temporal, task_queue)(target, WakeSignal(["generation 1"]), Urgency.CHANGED)
    assert await end_stuck_run(temporal, target) is False
    if begun:
        handle = temporal.get_workflow_handle(target.workflow_id)
        assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
        await handle.terminate()
