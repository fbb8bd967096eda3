"""Runs that get no further: their workflow task fails each time, so that no signal is ever heard.

A defect of the workflow's code does that, or a history that no worker can continue. Steps that fail do not: they are
repeated by activities, which is seen elsewhere.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from experiments.contract import Target
from telemetry import metrics

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5
"""Of one workflow task. A worker that is restarted costs a task one or two; without any worker there is no attempt."""
_RPC_TIMEOUT = timedelta(seconds=10)


def is_stuck(run: WorkflowExecutionDescription) -> bool:
    """Tell whether it is open, and its workflow task has failed again and again."""
    return run.status == WorkflowExecutionStatus.RUNNING and _attempts(run) >= MAX_ATTEMPTS


def _attempts(run: WorkflowExecutionDescription) -> int:
    return run.raw_description.pending_workflow_task.attempt


async def end_stuck_run(temporal: Client, target: Target) -> bool:
    """Terminate the open run of this Experiment if it is stuck, so that another can begin. Returns whether it was."""
    try:
        described = await temporal.get_workflow_handle(target.workflow_id).describe(rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    if not is_stuck(described):
        return False
    attempts = _attempts(described)
    run = temporal.get_workflow_handle(target.workflow_id, run_id=described.run_id)
    await run.terminate(reason=f"its workflow task has failed {attempts} times", rpc_timeout=_RPC_TIMEOUT)
    metrics.STUCK_RUNS.inc()
    log.error("a run was stuck and has been ended", experiment=str(target), run_id=described.run_id, attempts=attempts)
    return True
