"""The worker on a real API server and a real Temporal, beside a Testkube in the hands of the test.

Executions are followed when a test says so (`follow`); that they are seen at all is the watcher's part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from experiments.options import Options
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.clusters import DEPLOY, install_testkube, kubeconfig_of
from support.evaluated import TASK_QUEUE, Evaluated
from support.testkube import TestkubeStandIn
from support.world import World
from testkube.client import TestkubeClient
from worker.main import run_worker


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    await cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    return cluster


@pytest.fixture
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def worker(
    cluster: LocalCluster, temporal: Client, testkube: TestkubeStandIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    """It has no more permissions than `deploy/base` gives it, and runs workflows in Temporal's sandbox."""
    kubeconfig = await kubeconfig_of(cluster, "worker", tmp_path_factory.mktemp("kubeconfigs"))
    async with (
        await KubeClient.connect(kubeconfig) as kube,
        TestkubeClient(testkube.url) as client,
        running(run_worker(kube, temporal, Options(), client, task_queue=TASK_QUEUE, sandbox=True)),
    ):
        yield


@pytest.fixture
async def evaluated(world: World, testkube: TestkubeStandIn, temporal: Client, worker: None) -> Evaluated:  # noqa: ARG001
    made = Evaluated(world, await world.create(), testkube, temporal)
    await made.is_ready()
    return made
