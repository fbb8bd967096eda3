"""The part of `doctor` that is about Temporal: whether it answers, what it keeps, and whether anybody works."""

from __future__ import annotations

from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    GetSystemInfoRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from experiment_operator.doctor.report import DoctorContext, Finding, Findings, Verdict, fault, ok, unchecked, warning
from experiments.contract import WORKFLOW_TYPE
from experiments.executions import FOLLOW_EXECUTION, START_EXECUTION, task_queue_of_executions
from temporal.client import connect
from temporal.search_attributes import KEYS, type_of
from temporal.stuck import is_stuck

_CALL_TIMEOUT = timedelta(seconds=5)
_MAX_ERROR_LENGTH = 300
_MAX_RUNS = 100
_SHORT_RETENTION = timedelta(days=3)
_ATTRIBUTES = "search attributes"
_KINDS = {"workflows": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, "activities": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY}


async def server(context: DoctorContext) -> Findings:
    address = ""
    try:
        context.temporal = await connect(lazy=True)
        address = context.temporal.service_client.config.target_host
        info = await context.temporal.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=_CALL_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises about settings, files, TLS or the connection
        words = f"{address} does not answer: {error}" if address else str(error)
        advice = "set TEMPORAL_ADDRESS, with TEMPORAL_TLS or TEMPORAL_API_KEY where it wants them"
        yield fault("Temporal", " ".join(words.split())[:_MAX_ERROR_LENGTH], advice)
    else:
        yield ok("Temporal", f"{info.server_version} at {address}")


async def namespace(context: DoctorContext) -> Findings:
    name = context.temporal.namespace
    try:
        found = await context.temporal.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=name), timeout=_CALL_TIMEOUT
        )
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            advice = f"temporal operator namespace create -n {name} --retention 30d, or set TEMPORAL_NAMESPACE"
            yield fault("Temporal namespace", f"{name} does not exist", advice)
        else:
            yield fault("Temporal namespace", f"{name}: {error}", "TEMPORAL_API_KEY or certificate must allow it")
        return
    yield ok("Temporal namespace", f"{name} exists")
    kept = timedelta(seconds=found.config.workflow_execution_retention_ttl.seconds)
    words = f"what was done is remembered for {kept / timedelta(days=1):g} days"
    if kept < _SHORT_RETENTION:
        yield warning("Temporal retention", words, f"temporal operator namespace update -n {name} --retention 30d")
    else:
        yield ok("Temporal retention", words)


async def search_attributes(context: DoctorContext) -> Findings:
    name, used = context.temporal.namespace, context.chosen.temporal_search_attributes
    request = ListSearchAttributesRequest(namespace=name)
    try:
        found = await context.temporal.operator_service.list_search_attributes(request, timeout=_CALL_TIMEOUT)
    except RPCError as error:  # Temporal Cloud, for one, need not tell
        yield unchecked(_ATTRIBUTES, str(error))
        return
    missing = [key for key in KEYS if found.custom_attributes.get(key.name) != int(key.indexed_value_type)]
    words = f"{name} has no {', '.join(key.name for key in missing)}" if missing else f"{name} has them"
    flags = " ".join(f"--name {key.name} --type {type_of(key)}" for key in missing)
    advice = f"temporal operator search-attribute create -n {name} {flags}" if missing else ""
    if used and missing:
        yield fault(_ATTRIBUTES, f"{words}, without which no run can be started", advice)
    elif used:
        yield ok(_ATTRIBUTES, words)
    else:
        steps = filter(None, (advice, "TEMPORAL_SEARCH_ATTRIBUTES=true"))
        yield Finding(_ATTRIBUTES, Verdict.OK, f"{words}, and they are not used", f"to use them: {' and '.join(steps)}")


async def task_queue(context: DoctorContext) -> Findings:
    """Look for workers. Temporal knows of one for as long as five minutes after its last question for work."""
    queue = context.chosen.temporal_task_queue
    yield await _workers_of(context, queue, "its TEMPORAL_TASK_QUEUE and TEMPORAL_NAMESPACE must be the same as here")
    if context.chosen.testkube_to_ask:
        yield await _workers_of(context, task_queue_of_executions(queue), "it must have TESTKUBE_API_URL, too")


async def _workers_of(context: DoctorContext, queue: str, needs: str) -> Finding:
    described = {kind: await _describe_queue(context, queue, number) for kind, number in _KINDS.items()}
    if idle := [kind for kind, found in described.items() if not found.pollers]:
        return fault("task queue", f"nobody works on {' or '.join(idle)} of {queue}", f"start a worker; {needs}")
    workers = described["workflows"].pollers
    current = described["workflows"].versioning_info.current_deployment_version
    if any(_version(worker) == (current.deployment_name, current.build_id) for worker in workers):
        names = {worker.identity for found in described.values() for worker in found.pollers}
        return ok("task queue", f"on {queue} works {', '.join(sorted(names))}")
    whose = f"{current.deployment_name} {current.build_id}" if current.build_id else "workers without a version"
    advice = "temporal worker deployment set-current-version --deployment-name … --build-id …"
    return fault("task queue", f"new runs on {queue} go to {whose}, of which none works there", advice)


async def stuck_runs(context: DoctorContext) -> Findings:
    """Look at the runs that are open; most last a third of a second, or as long as an execution."""
    types = ", ".join(f"'{each}'" for each in (WORKFLOW_TYPE, FOLLOW_EXECUTION, START_EXECUTION))
    query = f"WorkflowType IN ({types}) AND ExecutionStatus = 'Running'"
    looked_at, stuck = 0, list[str]()
    async for run in context.temporal.list_workflows(query, limit=_MAX_RUNS):
        looked_at += 1
        described = await context.temporal.get_workflow_handle(run.id, run_id=run.run_id).describe(
            rpc_timeout=_CALL_TIMEOUT
        )
        if is_stuck(described):
            stuck.append(run.id)
    if stuck:
        advice = "a watcher that runs ends them, and begins others; if they come back, the worker's log says why"
        yield warning("runs", f"get no further, since their workflow task fails: {', '.join(stuck)}", advice)
    else:
        yield ok("runs", f"{looked_at} are open, and none is stuck")


async def _describe_queue(
    context: DoctorContext, queue: str, kind: TaskQueueType.ValueType
) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(
        namespace=context.temporal.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    return await context.temporal.workflow_service.describe_task_queue(request, timeout=_CALL_TIMEOUT)


def _version(worker: PollerInfo) -> tuple[str, str]:
    """Return the deployment and build ID, both empty for a worker without a version."""
    found = worker.deployment_options
    is_versioned = found.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    return (found.deployment_name, found.build_id) if is_versioned else ("", "")
