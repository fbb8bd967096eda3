"""Executions from Testkube to the status: a real API server and Temporal, a stand-in for Testkube that tests move on.

Each test runs the service on a task queue of its own, watcher and worker with the tokens of their ServiceAccounts.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from temporalio.client import Client

from experiments.options import Options
from kube.client import KubeClient
from kube.lease import Lease
from localcluster import LocalCluster
from support.background import running
from support.clusters import DEPLOY, install_testkube, kubeconfig_of
from support.evaluations import Evaluations
from support.processes import Start, processes
from support.testkube import TestkubeStandIn
from support.world import World, remove_experiments
from testkube.client import TestkubeClient
from watcher.executions import Times
from watcher.main import run_watcher
from worker.main import run_worker

OPTIONS = Options(aborts_executions=True)
# Nothing that these tests wait for may come from a poll, unless they say so.
RARELY = Times(poll=3600)


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    await cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    return cluster


@pytest.fixture(scope="session")
async def watcher_client(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KubeClient]:
    config = await kubeconfig_of(cluster, "watcher", tmp_path_factory.mktemp("kubeconfig"))
    async with await KubeClient.connect(config) as client:
        yield client


@pytest.fixture(scope="session")
async def worker_client(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KubeClient]:
    config = await kubeconfig_of(cluster, "worker", tmp_path_factory.mktemp("kubeconfig"))
    async with await KubeClient.connect(config) as client:
        yield client


@pytest.fixture
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def testkube_client(testkube: TestkubeStandIn) -> AsyncIterator[TestkubeClient]:
    async with TestkubeClient(testkube.url) as client:
        yield client


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """A world whose Experiments are gone before the next test: by force, since nothing runs that would clean up."""
    yield world
    await remove_experiments(world.kube)


@pytest.fixture
def evaluations(world: World, testkube: TestkubeStandIn) -> Evaluations:
    return Evaluations(world, testkube)


@pytest.fixture
def task_queue() -> str:
    return f"observing-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def watch(
    temporal: Client, watcher_client: KubeClient, testkube_client: TestkubeClient, task_queue: str
) -> Callable[..., AbstractAsyncContextManager[None]]:
    """`async with watch():` a watcher while the block lasts."""

    def start(
        times: Times = RARELY, *, observing: bool = True, lease: Lease | None = None, temporal: Client = temporal
    ) -> AbstractAsyncContextManager[None]:
        asked = testkube_client if observing else None
        return running(
            run_watcher(watcher_client, temporal, OPTIONS, asked, task_queue=task_queue, lease=lease, times=times)
        )

    return start


@pytest.fixture
async def work(
    temporal: Client, worker_client: KubeClient, testkube_client: TestkubeClient, task_queue: str
) -> AsyncIterator[None]:
    """A worker, with its workflows in Temporal's sandbox."""
    async with running(
        run_worker(worker_client, temporal, OPTIONS, testkube_client, task_queue=task_queue, sandbox=True)
    ):
        yield


@pytest.fixture
async def start_watcher(
    cluster: LocalCluster, testkube: TestkubeStandIn, task_queue: str, namespace: str, tmp_path: Path
) -> AsyncIterator[Start]:
    """`await start_watcher("watcher")`: a candidate for one Lease, in a process of its own."""
    chosen = {"TEMPORAL_TASK_QUEUE": task_queue, "TESTKUBE_API_URL": testkube.url, "LOG_LEVEL": "debug"}
    lease = {"LEADER_ELECT": "true", "LEASE_NAMESPACE": namespace, "LEASE_NAME": "leader"}
    async with processes({**cluster.env(), **chosen, **lease}, tmp_path) as start:
        yield start
