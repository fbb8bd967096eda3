"""The service at work on a real cluster: watcher and worker, and a `world` in a namespace of its own for each test.

Each of the two works with the token of its own ServiceAccount, and so with no more permissions than `deploy/base` gives
it: where one is missing, what these tests wait for does not come.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from experiments.options import Options
from kube.client import KubeClient
from localcluster import LocalCluster
from support.testkube import TestkubeStandIn
from testkube.client import TestkubeClient
from watcher.main import run_watcher
from worker.main import run_worker

_ROOT = Path(__file__).parents[2]
_TASK_QUEUE = "tests"
_OPTIONS = Options(aborts_executions=True)


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A cluster of its own: the service would reconcile the Experiments of other tests, too."""
    async with LocalCluster.start() as running:
        await running.install(_ROOT / "crds")
        await running.kubectl("create", "namespace", "testkube")
        await running.kubectl("apply", "-n", "testkube", "-f", str(_ROOT / "deploy" / "testkube"))
        await running.kubectl("apply", "-k", str(_ROOT / "deploy" / "base"))
        yield running


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture(scope="session")
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="session", autouse=True)
async def service(
    cluster: LocalCluster, temporal: Client, testkube: TestkubeStandIn, running: Any, kubeconfig_of: Any
) -> AsyncIterator[None]:
    """Watcher and worker, the workflow in Temporal's sandbox, where what is not deterministic is found."""
    async with (
        await KubeClient.connect(await kubeconfig_of(cluster, "watcher")) as watcher,
        await KubeClient.connect(await kubeconfig_of(cluster, "worker")) as worker,
        TestkubeClient(testkube.url) as client,
        running(
            run_watcher(watcher, temporal, _OPTIONS, task_queue=_TASK_QUEUE),
            run_worker(worker, temporal, _OPTIONS, client, task_queue=_TASK_QUEUE, sandbox=True),
        ),
    ):
        yield


@pytest.fixture
async def testkube_world(
    cluster: LocalCluster, kube: KubeClient, temporal: Client, world_class: Any
) -> AsyncIterator[Any]:
    """A world in Testkube's own namespace, which all such tests share: the Experiment is called `world.name`."""
    world = world_class(cluster, kube, temporal, "testkube")
    world.name = f"exp-{uuid.uuid4().hex[:8]}"
    yield world
    await cluster.kubectl("delete", "exp", world.name, "-n", "testkube", "--ignore-not-found")
