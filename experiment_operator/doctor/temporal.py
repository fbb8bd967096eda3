"""The part of `doctor` that is about Temporal: whether it answers, what it keeps, and whether anybody works."""

from __future__ import annotations

from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from experiment_operator.doctor.report import Findings, Patient, fault, ok, warning
from temporal.client import connect

_CALL = timedelta(seconds=5)
_LONGEST_ERROR = 300
_SHORT_RETENTION = timedelta(days=3)
_KINDS = {"workflows": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, "activities": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY}


async def server(patient: Patient) -> Findings:
    address = ""
    try:
        patient.temporal = await connect(lazy=True)
        address = patient.temporal.service_client.config.target_host
        info = await patient.temporal.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=_CALL)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises about settings, files, TLS or the connection
        words = f"{address} does not answer: {error}" if address else str(error)
        advice = "set TEMPORAL_ADDRESS, with TEMPORAL_TLS or TEMPORAL_API_KEY where it wants them"
        yield fault("Temporal", " ".join(words.split())[:_LONGEST_ERROR], advice)
    else:
        yield ok("Temporal", f"{info.server_version} at {address}")


async def namespace(patient: Patient) -> Findings:
    name = patient.temporal.namespace
    try:
        found = await patient.temporal.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=name), timeout=_CALL
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


async def task_queue(patient: Patient) -> Findings:
    """Temporal knows of a worker for as long as five minutes after its last question for work."""
    queue = patient.chosen.temporal_task_queue
    workers: dict[str, set[str]] = {}
    for kind, number in _KINDS.items():
        request = DescribeTaskQueueRequest(
            namespace=patient.temporal.namespace, task_queue=TaskQueue(name=queue), task_queue_type=number
        )
        found = await patient.temporal.workflow_service.describe_task_queue(request, timeout=_CALL)
        workers[kind] = {poller.identity for poller in found.pollers}
    idle = [kind for kind, polling in workers.items() if not polling]
    if idle:
        advice = "start a worker; its TEMPORAL_TASK_QUEUE and TEMPORAL_NAMESPACE must be the same as here"
        yield fault("task queue", f"nobody works on {' or '.join(idle)} of {queue}", advice)
    else:
        yield ok("task queue", f"on {queue} works {', '.join(sorted(set.union(*workers.values())))}")
