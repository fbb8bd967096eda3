"""The service at work on a real cluster: watcher and worker, and a `world` in a namespace of its own for each test.

Each of the two works with the token of its own ServiceAccount, and so with no more permissions than `deploy/base` gives
it: where one is missing, what these tests wait for does not come.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from experiments.options import Options
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.clusters import DEPLOY, install_testkube, kubeconfig_of
from support.testkube import TestkubeStandIn
from support.world import World
from testkube.client import TestkubeClient
from watcher.main import run_watcher
from worker.main import run_worker

_TASK_QUEUE = "tests"
_OPTIONS = Options(aborts_executions=True)


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    await cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    return cluster


@pytest.fixture(scope="session")
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="session", autouse=True)
async def service(
    cluster: LocalCluster, temporal: Client, testkube: TestkubeStandIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    """Watcher and worker, the workflow in Temporal's sandbox, where what is not deterministic is found."""
    directory = tmp_path_factory.mktemp("kubeconfigs")
    async with (
        await KubeClient.connect(await kubeconfig_of(cluster, "watcher", directory)) as watcher,
        await KubeClient.connect(await kubeconfig_of(cluster, "worker", directory)) as worker,
        TestkubeClient(testkube.url) as client,
        running(
            run_watcher(watcher, temporal, _OPTIONS, task_queue=_TASK_QUEUE),
            run_worker(worker, temporal, _OPTIONS, client, task_queue=_TASK_QUEUE, sandbox=True),
        ),
    ):
        yield


@pytest.fixture
async def testkube_world(cluster: LocalCluster, kube: KubeClient, temporal: Client) -> AsyncIterator[World]:
    """A world in Testkube's own namespace, which all such tests share: the Experiment is called `world.name`."""
    world = World(cluster, kube, temporal, "testkube", name=f"exp-{uuid.uuid4().hex[:8]}")
    yield world
    await cluster.kubectl("delete", "exp", world.name, "-n", "testkube", "--ignore-not-found")
