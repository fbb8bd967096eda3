"""Faults: a cluster whose parts these tests stop and break, and the service in forms that can be killed.

Nothing runs between two tests. Each starts what it needs on a task queue of its own: in this process where cancelling
is enough (`serve`), in processes of their own where signals count (`start_process`).
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
from localcluster import LocalCluster
from support.background import running
from support.clusters import install_testkube
from support.holding import HoldingClient
from support.processes import Start, processes
from support.world import World, remove_experiments
from watcher.main import run_watcher
from worker.main import run_worker


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """A world whose Experiments are gone before the next test: by force, since nothing runs that would clean up."""
    yield world
    await remove_experiments(world.kube)


@pytest.fixture
def task_queue() -> str:
    return f"crash-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def serve(kube: KubeClient, temporal: Client, task_queue: str) -> Callable[..., AbstractAsyncContextManager[None]]:
    """`async with serve():` watcher and worker, or one of them, while the block lasts."""

    def start(
        options: Options | None = None,
        *,
        client: KubeClient = kube,
        temporal: Client = temporal,
        watcher: bool = True,
        worker: bool = True,
    ) -> AbstractAsyncContextManager[None]:
        chosen = options or Options()
        work = []
        if watcher:
            work.append(run_watcher(client, temporal, chosen, task_queue=task_queue))
        if worker:
            work.append(run_worker(client, temporal, chosen, task_queue=task_queue, sandbox=True))
        return running(*work)

    return start


@pytest.fixture
async def holding(cluster: LocalCluster) -> AsyncIterator[HoldingClient]:
    async with await HoldingClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture
async def start_process(cluster: LocalCluster, tmp_path: Path, task_queue: str) -> AsyncIterator[Start]:
    """`await start_process("watcher", TESTKUBE_NAMESPACE=".")`; what still runs at the end of the test is killed."""
    common = {**cluster.env(), "TEMPORAL_TASK_QUEUE": task_queue, "WORKFLOW_SANDBOX": "true"}
    async with processes(common, tmp_path) as start:
        yield start
