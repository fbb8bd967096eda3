"""Who works on Temporal's task queues."""

from __future__ import annotations

from functools import partial
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from support.polling import until

_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


async def works_on(temporal: Client, task_queue: str) -> None:
    """Wait until Temporal knows of a worker for both kinds of tasks."""
    for kind in _KINDS:
        await until(partial(_pollers, temporal, kind, task_queue))


async def _pollers(temporal: Client, kind: TaskQueueType.ValueType, task_queue: str) -> Any:
    request = DescribeTaskQueueRequest(
        namespace=temporal.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
    )
    return (await temporal.workflow_service.describe_task_queue(request)).pollers
