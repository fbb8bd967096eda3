"""How the workflows that follow and start executions are begun: by the watcher for what it sees, by the api for people.

What they do is in `worker.executions`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from experiments.contract import summary
from experiments.executions import (
    FOLLOW_EXECUTION,
    LOOK,
    START_EXECUTION,
    ExecutionTarget,
    FollowState,
    Started,
    StartRequest,
    execution_memo,
    rfc3339,
    task_queue_of_executions,
)
from temporal.search_attributes import of_namespace

Follow = Callable[[ExecutionTarget], Awaitable[bool]]
"""Follows an execution, or has whoever follows it look again. False where it was followed to its end before."""

Request = Callable[[StartRequest], Awaitable[WorkflowHandle[object, Started]]]
"""Asks for an execution. The same key leads to the same one; one that has failed may be tried again."""

Ended = Callable[[datetime], Awaitable[set[str]]]
"""Says which executions have been followed to their end, by the IDs of the workflows, among those begun since then."""

_RPC_TIMEOUT = timedelta(seconds=10)
_PAGE_SIZE = 1000
_OPEN = (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)


def follower(temporal: Client, task_queue: str, *, search_attributes: bool = False) -> Follow:
    """Make what follows executions, with `search_attributes` only where Temporal's namespace has them."""

    async def follow(execution: ExecutionTarget) -> bool:
        try:
            await temporal.start_workflow(
                FOLLOW_EXECUTION,
                FollowState(execution),
                id=execution.workflow_id,
                task_queue=task_queue_of_executions(task_queue),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                start_signal=LOOK,
                memo=execution_memo(execution).to_memo(),
                search_attributes=of_namespace(execution.target) if search_attributes else None,
                static_summary=summary(f"execution of {execution.workflow}"),
                static_details=f"{execution} (uid {execution.target.uid})",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    return follow


def requester(temporal: Client, task_queue: str, *, search_attributes: bool = False) -> Request:
    """Make what asks for executions, with `search_attributes` only where Temporal's namespace has them."""

    async def request(wish: StartRequest) -> WorkflowHandle[object, Started]:
        try:
            return await temporal.start_workflow(
                START_EXECUTION,
                wish,
                id=wish.workflow_id,
                task_queue=task_queue_of_executions(task_queue),
                result_type=Started,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=of_namespace(wish.target) if search_attributes else None,
                static_summary=wish.summary,
                static_details=f"{wish.target} (uid {wish.target.uid})",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:  # and it has completed
            return temporal.get_workflow_handle(wish.workflow_id, result_type=Started)

    return request


def ended_followers(temporal: Client) -> Ended:
    """Make what asks Temporal which executions have been followed to their end."""

    async def ask(since: datetime) -> set[str]:
        query = f"WorkflowType = '{FOLLOW_EXECUTION}' AND StartTime >= '{rfc3339(since)}'"
        runs = temporal.list_workflows(query, page_size=_PAGE_SIZE, rpc_timeout=_RPC_TIMEOUT)
        return {run.id async for run in runs if run.status not in _OPEN}

    return ask
