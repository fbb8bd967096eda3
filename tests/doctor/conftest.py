"""An installation in which nothing is wrong, on a cluster of its own: these tests break what counts for all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio import activity
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion

from experiment_operator.doctor.command import examine
from experiment_operator.doctor.report import Finding, Verdict
from experiments.executions import task_queue_of_executions
from experiments.options import Options
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.clusters import install_testkube
from support.task_queues import works_on
from testkube.client import TestkubeClient
from worker.main import run_worker, temporal_worker

_TASK_QUEUE = "experiment-operator"


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture(scope="session")
def keep_history(temporal: Client) -> Callable[[timedelta], Any]:
    """`await keep_history(timedelta(days=30))`: the retention of Temporal's namespace."""

    async def update(retention: timedelta) -> None:
        config = NamespaceConfig(workflow_execution_retention_ttl=Duration(seconds=round(retention.total_seconds())))
        request = UpdateNamespaceRequest(namespace=temporal.namespace, config=config)
        await temporal.workflow_service.update_namespace(request)

    return update


@pytest.fixture(scope="session", autouse=True)
async def worker(kube: KubeClient, temporal: Client, keep_history: Any) -> AsyncIterator[None]:
    """It would follow executions, too, if there were any."""
    await keep_history(timedelta(days=30))
    async with (
        TestkubeClient("http://127.0.0.1:1") as testkube,
        running(run_worker(kube, temporal, Options(), testkube, task_queue=_TASK_QUEUE, sandbox=True)),
    ):
        for queue in (_TASK_QUEUE, task_queue_of_executions(_TASK_QUEUE)):
            await works_on(temporal, queue)
        yield


@pytest.fixture(scope="session")
def versioned_worker(temporal: Client) -> Callable[[str], AbstractAsyncContextManager[None]]:
    """`async with versioned_worker(task_queue)`: a worker of a version that nobody has made the current one."""

    @asynccontextmanager
    async def work(task_queue: str) -> AsyncIterator[None]:
        @activity.defn
        async def step() -> None: ...

        version = WorkerDeploymentVersion("experiment-operator", "1")
        async with temporal_worker(temporal, [step], task_queue=task_queue, sandbox=True, version=version):
            await works_on(temporal, task_queue)
            yield

    return work


@pytest.fixture
def environment(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`environment(TESTKUBE_NAMESPACE="there")`: that of the doctor, who otherwise finds everything in order."""

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    put(**cluster.env(), TEMPORAL_CONFIG_FILE="/dev/null")
    return put


@pytest.fixture
def doctor(environment: Callable[..., None]) -> Callable[..., Any]:  # noqa: ARG001 - it is what is examined
    """`await doctor()`: the findings that are not fine, in their order; `everything=True` for all of them."""

    async def ask(role: str = "all", *, everything: bool = False) -> list[Finding]:
        return [found async for found in examine(role) if everything or found.verdict != Verdict.OK]

    return ask
