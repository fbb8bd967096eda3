"""The whole service on a cluster of its own, with the Experiments that the examples in the OpenAPI document speak of.

`default/weather` is the sample, reconciled; beside it there is one that waits, one that is suspended and one that was
deleted, so that whatever is generated finds something of each kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.options import Options
from experiments.resources import EXPERIMENT
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object
from localcluster import LocalCluster
from watcher.main import run_watcher
from worker.main import run_worker

_ROOT = Path(__file__).parents[2]
_OPTIONS = Options()
_TASK_QUEUE = "openapi"
_SPEC = {"agentRef": {"name": "weather-agent"}, "scenarios": [{"name": "rain", "steps": [{"input": "Will it rain?"}]}]}


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """Of its own: its service would reconcile the Experiments of other tests, too."""
    async with LocalCluster.start() as running:
        await running.install(_ROOT / "crds")
        await running.kubectl("create", "namespace", "testkube")
        await running.kubectl("apply", "-n", "testkube", "-f", str(_ROOT / "deploy" / "testkube"))
        yield running


@pytest.fixture(scope="session")
async def url(cluster: LocalCluster, running: Any) -> AsyncIterator[str]:
    """Where the api listens; watcher and worker are at work behind it."""
    temporal = await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)
    patch = pytest.MonkeyPatch()
    patch.setattr("telemetry.health._needs", {})  # what other folders' services lacked when they ended
    async with await KubeClient.connect(cluster.kubeconfig) as kube:
        caches = Caches(kube, [*sources(_OPTIONS), *name_sources(_OPTIONS)])
        app = create_app(caches, temporal, Everybody(), ApiConfig(task_queue=_TASK_QUEUE))
        async with (
            running(
                caches.run(),
                run_watcher(kube, temporal, _OPTIONS, task_queue=_TASK_QUEUE),
                run_worker(kube, temporal, _OPTIONS, task_queue=_TASK_QUEUE, sandbox=True),
            ),
            serving(app, "127.0.0.1", 0) as port,
        ):
            await caches.wait_synced()
            with closing(app.state.shared.broadcast):
                await _apply_experiments(cluster, kube)
                yield f"http://127.0.0.1:{port}"
    patch.undo()


async def _apply_experiments(cluster: LocalCluster, kube: KubeClient) -> None:
    samples = _ROOT / "deploy" / "samples"
    for file in ("agent.yaml", "experiment-scenarios.yaml"):
        await cluster.kubectl("apply", "-n", "default", "-f", str(samples / file))
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


class Operation(NamedTuple):
    path: str
    method: str
    content: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def streams(self) -> bool:
        return "text/event-stream" in self.content["responses"]["200"]["content"]

    def parameters(self, *places: str) -> list[dict[str, Any]]:
        return [each for each in self.content.get("parameters", []) if each["in"] in places]


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
