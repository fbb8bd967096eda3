"""The pages as they are served: by the application behind a real socket, on a real API server and a real Temporal.

Testkube is in the hands of the test; executions are followed when a test says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from api.auth.kubernetes import Access, ByKubernetes, Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.options import Options
from kube.caches import Caches
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.clusters import DEPLOY, install_testkube, kubeconfig_of
from support.evaluated import TASK_QUEUE, Evaluated
from support.people import People
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


@pytest.fixture
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as stand_in:
        yield stand_in


@pytest.fixture
async def worker(
    cluster: LocalCluster, temporal: Client, testkube: TestkubeStandIn, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    kubeconfig = await kubeconfig_of(cluster, "worker", tmp_path_factory.mktemp("kubeconfigs"))
    async with (
        await KubeClient.connect(kubeconfig) as kube,
        TestkubeClient(testkube.url) as client,
        running(run_worker(kube, temporal, Options(), client, task_queue=TASK_QUEUE, sandbox=False)),
    ):
        yield


@pytest.fixture
async def evaluated(
    world: World,
    caches: Caches,
    testkube: TestkubeStandIn,
    temporal: Client,
    worker: None,  # noqa: ARG001
) -> Evaluated:
    """An Experiment that is Ready, which the caches know, beside an agent."""
    made = Evaluated(world, await world.create(schedule={"cron": "0 6 * * 1"}), testkube, temporal)
    await made.is_ready()
    await until(lambda: ((caches.get(world.ref()) or {}).get("status") or {}).get("conditions"))
    return made


@pytest.fixture
async def people(cluster: LocalCluster, namespace: str) -> People:
    return People(cluster, namespace)


@pytest.fixture
def serve(caches: Caches, temporal: Client, testkube: TestkubeStandIn) -> Callable[..., Any]:
    """`async with serve() as http`: a client of the application, which listens. By default everybody may do all."""

    @asynccontextmanager
    async def connect(
        access: Access | None = None, temporal: Client = temporal, caches: Any = caches, **config: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(TestkubeClient(testkube.url))
            config = ApiConfig(task_queue=TASK_QUEUE, temporal_ui_url="http://temporal.example", **config)
            app = create_app(caches, temporal, access or Everybody(), config, client)
            port = await stack.enter_async_context(serving(app, "127.0.0.1", 0))
            stack.enter_context(closing(app.state.shared.broadcast))
            url = f"http://127.0.0.1:{port}"
            yield await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False, timeout=60))

    return connect


@pytest.fixture
async def http(serve: Callable[..., Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with serve() as client:
        yield client


@pytest.fixture
async def guarded(serve: Callable[..., Any], kube: KubeClient) -> AsyncIterator[httpx.AsyncClient]:
    """The same where RBAC decides."""
    async with serve(ByKubernetes(kube, kept_seconds=0)) as client:
        yield client


@pytest.fixture
async def temporal_away() -> Client:
    """A client of a server that is not there: nothing listens on this port."""
    return await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
