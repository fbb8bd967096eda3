"""The whole service on a cluster of its own, with the Experiments that the examples in the OpenAPI document speak of.

`default/weather` is the sample, reconciled; beside it there is one that waits, one that is suspended and one that was
deleted, so that whatever is generated finds something of each kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object
from localcluster import LocalCluster
from support.background import running
from support.clusters import SAMPLES, install_testkube
from support.openapi import Operation
from watcher.main import run_watcher
from worker.main import run_worker

_TASK_QUEUE = "openapi"
_SPEC = {"agentRef": {"name": "weather-agent"}, "scenarios": [{"name": "rain", "steps": [{"input": "Will it rain?"}]}]}


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture(scope="session")
async def url(cluster: LocalCluster, kube: KubeClient, temporal: Client, caches: Caches) -> AsyncIterator[str]:
    """Where the api listens; watcher and worker are at work behind it."""
    app = create_app(caches, temporal, Everybody(), ApiConfig(task_queue=_TASK_QUEUE))
    async with (
        running(
            run_watcher(kube, temporal, Options(), task_queue=_TASK_QUEUE),
            run_worker(kube, temporal, Options(), task_queue=_TASK_QUEUE, sandbox=True),
        ),
        serving(app, "127.0.0.1", 0) as port,
    ):
        with closing(app.state.shared.broadcast):
            await _apply_experiments(cluster, kube)
            yield f"http://127.0.0.1:{port}"


async def _apply_experiments(cluster: LocalCluster, kube: KubeClient) -> None:
    for file in ("agent.yaml", "experiment-scenarios.yaml"):
        await cluster.kubectl("apply", "-n", "default", "-f", str(SAMPLES / file))
    for name, spec in {"waiting": {"aiGatewayRef": {"name": "none"}}, "paused": {"suspend": True}, "gone": {}}.items():
        await kube.create(EXPERIMENT, _experiment(name, **spec))
    await cluster.kubectl("label", "exp/weather", "team=weather", "stage=dev")  # as the example of a selector wants it
    for name, state in {"weather": "Ready", "gone": "Ready", "waiting": "Ready=False", "paused": "Ready=False"}.items():
        await cluster.kubectl("wait", f"exp/{name}", f"--for=condition={state}", "--timeout=30s")
    await cluster.kubectl("delete", "exp", "gone")


def _experiment(name: str, **spec: Any) -> Object:
    meta = {"namespace": "default", "name": name}
    return {
        "apiVersion": EXPERIMENT.api_version,
        "kind": EXPERIMENT.kind,
        "metadata": meta,
        "spec": {**_SPEC, **spec},
    }


@pytest.fixture(scope="session")
async def api(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
async def document(api: httpx.AsyncClient) -> Any:
    """The OpenAPI document as it is served."""
    return (await api.get("/openapi.json")).raise_for_status().json()


@pytest.fixture(scope="session")
def operations(document: Any) -> list[Operation]:
    return [Operation(path, method, it) for path, item in document["paths"].items() for method, it in item.items()]


@pytest.fixture(scope="session")
def resolve(document: Any) -> Callable[[dict[str, str]], Any]:
    """What `{"$ref": "#/…"}` stands for."""

    def find(reference: dict[str, str]) -> Any:
        found = document
        for part in reference["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    return find


@pytest.fixture(scope="session")
async def call(api: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """`await call(operation)`: the answer to its example, where the run is one that there is.

    Of a stream it is what it says before the first change.
    """
    runs = (await api.get("/api/v1/namespaces/default/experiments/weather/reconciliations")).json()["items"]

    async def send(operation: Operation, **options: Any) -> httpx.Response:
        values = {each["name"]: each["schema"]["examples"][0] for each in operation.parameters("path")}
        url = operation.path.format(**{**values, "run_id": runs[-1]["runId"]})
        if body := operation.content.get("requestBody"):
            options["json"] = body["content"]["application/json"]["example"]
        async with api.stream(operation.method, url, **options) as response:
            text = ""
            async for part in response.aiter_text():
                text += part
                if operation.streams and "event: synced" in text:
                    break
        return httpx.Response(response.status_code, headers=response.headers, text=text, request=response.request)

    return send
