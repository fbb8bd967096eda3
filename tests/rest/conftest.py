"""The REST application on the real API server and the real Temporal server, and runs made to order.

The runs are those of the real workflow; its steps are scripted, so that a test says what they find and how they fail.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from api.auth.kubernetes import Access, Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.contract import Target
from experiments.resources import EXPERIMENT, TEST_WORKFLOW_TEMPLATE
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object, ObjectRef
from localcluster import LocalCluster
from support.clusters import install_testkube
from support.polling import until
from support.scripted_runs import TASK_QUEUE, Runs

_UI = "http://temporal.example:8233"


@pytest.fixture(scope="session")
async def templates(cluster: LocalCluster, caches: Caches) -> None:
    """Testkube's namespace and what every installation has there before the first Experiment."""
    await install_testkube(cluster)
    await until(lambda: len(caches.objects(TEST_WORKFLOW_TEMPLATE)) >= 5)


def _application(caches: Caches, temporal: Client, access: Access | None) -> FastAPI:
    config = ApiConfig(temporal_ui_url=_UI, task_queue=TASK_QUEUE)
    return create_app(caches, temporal, access or Everybody(), config)


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    """`async with serve(caches, temporal) as api`: a client of the application on these two."""

    @asynccontextmanager
    async def connect(
        caches: Caches, temporal: Client, access: Access | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(_application(caches, temporal, access), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client

    return connect


@pytest.fixture(scope="session")
async def api(serve: Callable[..., Any], caches: Caches, temporal: Client) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(caches, temporal) as client:
        yield client


@pytest.fixture(scope="session")
def listen() -> Callable[..., Any]:
    """`async with listen(caches, temporal) as api`: the same behind a real socket, which streams need."""

    @asynccontextmanager
    async def connect(
        caches: Caches, temporal: Client, access: Access | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = _application(caches, temporal, access)
        async with serving(app, "127.0.0.1", 0) as port:
            with closing(app.state.shared.broadcast):
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                    yield client

    return connect


@pytest.fixture
async def temporal_away() -> Client:
    """A client of a server that is not there: nothing listens on this port."""
    return await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)


@pytest.fixture
def create(kube: KubeClient, caches: Caches, namespace: str) -> Callable[..., Any]:
    """`await create("weather", status={…})`: an Experiment on the API server, which the caches know, too."""

    async def make(name: str, status: dict[str, Any] | None = None) -> Object:
        ref = ObjectRef(EXPERIMENT, namespace, name)
        scenarios = [{"name": "rain", "steps": [{"input": "Will it rain?"}]}]
        obj = await kube.create(
            EXPERIMENT,
            {
                "apiVersion": EXPERIMENT.api_version,
                "kind": EXPERIMENT.kind,
                "metadata": {"namespace": namespace, "name": name},
                "spec": {"agentRef": {"name": "weather-agent"}, "scenarios": scenarios},
            },
        )
        if status:
            obj = await kube.merge_patch(ref, {"status": status}, subresource="status")
        await _until_cached(caches, ref, obj)
        return obj

    return make


@pytest.fixture
def change(kube: KubeClient, caches: Caches, namespace: str) -> Callable[..., Any]:
    """`await change("weather", "TemplateMissing")`: a new reason of Ready, which the caches know, too."""

    async def write(name: str, reason: str, message: str = "") -> None:
        ref = ObjectRef(EXPERIMENT, namespace, name)
        condition = {"type": "Ready", "status": "False", "reason": reason, "message": message}
        status = {"conditions": [{**condition, "lastTransitionTime": "2026-11-23T10:00:00Z"}]}
        await _until_cached(caches, ref, await kube.merge_patch(ref, {"status": status}, subresource="status"))

    return write


async def _until_cached(caches: Caches, ref: ObjectRef, obj: Object) -> None:
    def is_cached() -> bool:
        cached = caches.get(ref)
        return cached is not None and cached["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]

    await until(is_cached)


@pytest.fixture(scope="session")
async def runs(temporal: Client) -> AsyncIterator[Runs]:
    scripted = Runs(temporal)
    async with scripted.worker():
        yield scripted


@pytest.fixture
def target() -> Target:
    """An Experiment that no other test has, and that does not exist in the cluster."""
    return Target("default", f"weather-{uuid4().hex[:8]}", str(uuid4()))


@pytest.fixture
def history_of(api: httpx.AsyncClient) -> Callable[..., Any]:
    """`await history_of(target, n)`: its reconciliations once visibility, which lags, knows `n` of them."""

    async def fetch(target: Target, count: int, **query: Any) -> list[dict[str, Any]]:
        url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"

        async def items() -> list[dict[str, Any]]:
            return list((await api.get(url, params=query)).json().get("items", []))

        return await until(items, lambda found: len(found) == count)

    return fetch


@pytest.fixture(scope="session")
def saved() -> Callable[[str], dict[str, Any]]:
    """A history as a server sent it, from tests/rest/data."""

    def load(name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())
        return document

    return load
