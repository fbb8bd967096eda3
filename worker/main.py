"""The worker process: caches of what Experiments depend on, and Temporal workers with the workflows and their steps.

Where Testkube can be asked, executions are followed and started by a worker on a queue of their own: a Testkube that
hangs then takes no place away from reconciliations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from experiments.executions import task_queue_of_executions
from experiments.options import Options
from experiments.snapshot import dependency_sources
from kube.caches import Caches
from kube.client import KubeClient
from telemetry.health import needs
from testkube.client import TestkubeClient
from worker.activities import Activities
from worker.context import LogContext
from worker.execution_activities import ExecutionActivities
from worker.executions import FollowExecution, StartExecution
from worker.workflow import ReconcileExperiment

log = structlog.get_logger(__name__)

_SHUTDOWN_TIMEOUT = timedelta(seconds=5)
_MAX_CONCURRENT_RUNS = 16


async def run_worker(
    client: KubeClient,
    temporal: Client,
    options: Options,
    testkube: TestkubeClient | None = None,
    *,
    task_queue: str,
    sandbox: bool,
    version: WorkerDeploymentVersion | None = None,
    caches: Caches | None = None,
) -> None:
    """Work until cancelled; steps under way then have a few seconds to end. `temporal` must have been connected.

    With `caches`, those of a watcher in this process, which runs them, less has to be asked of the API server.
    """
    shared = caches is not None
    caches = caches or Caches(client, dependency_sources(options))
    async with asyncio.TaskGroup() as tasks:
        caching = None if shared else tasks.create_task(caches.run())
        needs("worker", caches.missing)
        await caches.freeze()
        steps = Activities(client, caches, options, testkube).all()
        workers = [temporal_worker(temporal, steps, task_queue=task_queue, sandbox=sandbox, version=version)]
        if testkube:
            steps, queue = ExecutionActivities(client, testkube, options).all(), task_queue_of_executions(task_queue)
            workflows = [FollowExecution, StartExecution]
            workers.append(
                temporal_worker(temporal, steps, workflows, task_queue=queue, sandbox=sandbox, version=version)
            )
        log.info("worker is ready", task_queue=task_queue)
        try:
            async with asyncio.TaskGroup() as working:
                for worker in workers:
                    working.create_task(worker.run())
        finally:
            if caching:
                caching.cancel()


def temporal_worker(
    temporal: Client,
    steps: Sequence[Callable[..., Awaitable[object]]],
    workflows: Sequence[type] | None = None,
    *,
    task_queue: str,
    sandbox: bool,
    version: WorkerDeploymentVersion | None = None,
) -> Worker:
    """Put workflows, by default that of Experiments, and their steps together.

    The sandbox costs twice the CPU and finds what is not deterministic, so tests run in it and production need not. A
    run keeps to the `version` that it began with, and moves to the current one when it has waited.
    """
    return Worker(
        temporal,
        task_queue=task_queue,
        workflows=workflows or [ReconcileExperiment],
        activities=steps,
        interceptors=[LogContext()],
        workflow_runner=SandboxedWorkflowRunner() if sandbox else UnsandboxedWorkflowRunner(),
        # A run that waits may outlive the code that began it. One that newer code cannot continue fails, and the
        # watcher begins another; by default it would hang for ever, and its Experiment with it.
        workflow_failure_exception_types=[NondeterminismError],
        # A run keeps its workflow task while its steps run. With too many at once, all of them become slow, pass the
        # server's limit for a task, and are begun again.
        max_concurrent_workflow_tasks=_MAX_CONCURRENT_RUNS,
        graceful_shutdown_timeout=_SHUTDOWN_TIMEOUT,
        deployment_config=_pinned(version) if version else None,
    )


def _pinned(version: WorkerDeploymentVersion) -> WorkerDeploymentConfig:
    behavior = VersioningBehavior.PINNED
    return WorkerDeploymentConfig(version, use_worker_versioning=True, default_versioning_behavior=behavior)
