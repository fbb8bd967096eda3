"""The worker on a real API server and a real Temporal, beside a Testkube in the hands of the test.

Executions are followed when a test says so (`follow`); that they are seen at all is the watcher's part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from experiments.options import Options
from kube.caches import Caches
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.clusters import DEPLOY, install_testkube, kubeconfig_of
from support.evaluated import TASK_QUEUE, Evaluated
from support.polling import until
from support.testkube import TestkubeStandIn
from support.world import World
from testkube.client import TestkubeClient
from worker.main import run_worker


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    await cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    return cluster


@pytest.fixture(scope="session")
async def stand_in(folder: str) -> AsyncIterator[TestkubeStandIn]:  # noqa: ARG001 - it goes with the cluster
    async with TestkubeStandIn() as started:
        yield started


@pytest.fixture
def testkube(stand_in: TestkubeStandIn) -> TestkubeStandIn:
    """It knows nothing of the test before."""
    stand_in.forget()
    return stand_in


@pytest.fixture(scope="session")
async def worker(
    cluster: LocalCluster, temporal: Client, stand_in: TestkubeStandIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    """It has no more permissions than `deploy/base` gives it, and runs workflows in Temporal's sandbox.

    One for all tests: it cannot be started again before the one before has ended for good.
    """
    kubeconfig = await kubeconfig_of(cluster, "worker", tmp_path_factory.mktemp("kubeconfigs"))
    async with (
        await KubeClient.connect(kubeconfig) as kube,
        TestkubeClient(stand_in.url) as client,
        running(run_worker(kube, temporal, Options(), client, task_queue=TASK_QUEUE, sandbox=True)),
    ):
        yield


@pytest.fixture
async def evaluated(world: World, testkube: TestkubeStandIn, temporal: Client, worker: None) -> Evaluated:  # noqa: ARG001
    made = Evaluated(world, await world.create(), testkube, temporal)
    await made.is_ready()
    return made


@pytest.fixture
async def serve(
    caches: Caches, temporal: Client, testkube: TestkubeStandIn, evaluated: Evaluated
) -> Callable[..., Any]:
    """`async with serve() as api`: the REST application, at this Experiment, which its caches know to be Ready.

    With `temporal` it is on another Temporal, with `url=""` it does not know of Testkube.
    """
    where = f"http://api/api/v1/namespaces/{evaluated.target.namespace}/experiments/{evaluated.target.name}"
    await until(lambda: ((caches.get(evaluated.world.ref()) or {}).get("status") or {}).get("conditions"))

    @asynccontextmanager
    async def connect(temporal: Client = temporal, url: str = testkube.url) -> AsyncIterator[httpx.AsyncClient]:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(TestkubeClient(url)) if url else None
            config = ApiConfig(task_queue=TASK_QUEUE, temporal_ui_url="http://temporal.example")
            app = create_app(caches, temporal, Everybody(), config, client)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            yield await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=where, timeout=70))

    return connect


@pytest.fixture
async def api(serve: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with serve() as client:
        yield client


@pytest.fixture
async def temporal_away() -> Client:
    """A client of a server that is not there: nothing listens on this port."""
    return await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
