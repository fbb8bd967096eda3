"""The whole service on a cluster of its own, with the Experiments that the examples in the OpenAPI document speak of.

`default/weather` is the sample, reconciled and executed; beside it there is one that waits, one that is suspended and
one that was deleted, so that whatever is generated finds something of each kind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.names import EXPERIMENT_ANNOTATION, placement
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object
from localcluster import LocalCluster
from localcluster.testkube.executions import Json
from support.background import running
from support.clusters import SAMPLES, install_testkube
from support.evaluated import scores
from support.openapi import Operation
from support.polling import until
from support.testkube import TestkubeStandIn
from testkube.client import TestkubeClient
from watcher.main import run_watcher
from worker.main import run_worker

_TASK_QUEUE = "openapi"
_WEATHER = "/api/v1/namespaces/default/experiments/weather"
_SPEC = {"agentRef": {"name": "weather-agent"}, "scenarios": [{"name": "rain", "steps": [{"input": "Will it rain?"}]}]}


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


class _PromptTestkube(TestkubeStandIn):
    """Whatever is begun has passed at once, but for one execution that never ends, and is always the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.stubborn = True

    def begun(self, execution: Json) -> None:
        """Leave scores. One metric misses its threshold every other time, so that there is something to compare."""
        self.upload(execution, scores(1.0, 0.95 if execution["number"] % 2 else 0.4))
        self.upload(execution, b"<p>All is well.", "data/results/evaluation_report.html")
        self.set_phases(execution, {"run": "passed", "evaluate": "passed", "publish": "passed", "visualize": "passed"})
        self.set_status(execution, "passed")

    def add_endless(self, workflow: str) -> None:
        ahead = (datetime.now(UTC) + timedelta(hours=6)).isoformat().replace("+00:00", "Z")
        self.set_status(self.add(workflow, scheduledAt=ahead), "running")


@pytest.fixture(scope="session")
async def testkube() -> AsyncIterator[_PromptTestkube]:
    async with _PromptTestkube() as stand_in:
        yield stand_in


@pytest.fixture(scope="session")
async def url(
    cluster: LocalCluster, kube: KubeClient, temporal: Client, caches: Caches, testkube: _PromptTestkube
) -> AsyncIterator[str]:
    """Where the api listens; watcher and worker are at work behind it."""
    async with TestkubeClient(testkube.url) as client:
        app = create_app(caches, temporal, Everybody(), ApiConfig(task_queue=_TASK_QUEUE), client)
        async with (
            running(
                run_watcher(kube, temporal, Options(), client, task_queue=_TASK_QUEUE),
                run_worker(kube, temporal, Options(), client, task_queue=_TASK_QUEUE, sandbox=True),
            ),
            serving(app, "127.0.0.1", 0) as port,
        ):
            with closing(app.state.shared.broadcast), pytest.MonkeyPatch.context() as patched:
                patched.setattr("api.executions.stopping._STOP_SECONDS", 0.1)
                await _apply_experiments(cluster, kube)
                await _execute(f"http://127.0.0.1:{port}", testkube)
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


async def _execute(url: str, testkube: _PromptTestkube) -> None:
    """Two that were judged, and one that goes on."""
    workflow = placement("default", "weather", Options()).test_workflow.name
    testkube.workflows.add(workflow)
    testkube.metadata[workflow] = {"annotations": {EXPERIMENT_ANNOTATION: "default/weather"}}
    async with httpx.AsyncClient(base_url=f"{url}{_WEATHER}", timeout=70) as api:
        for _ in range(2):
            answer = await api.post("/executions", params={"wait": "60s"}, json={"reason": "a new prompt"})
            assert answer.json()["verdict"], answer.text
        testkube.add_endless(workflow)
        await until(
            lambda: api.get("/executions"), lambda listed: all(e["verdict"] for e in listed.json()["items"][1:])
        )


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
    """`await call(operation)`: the answer to its example, where run and execution are such that there are.

    Of a stream it is what it says before the first change.
    """
    runs = (await api.get(f"{_WEATHER}/reconciliations")).json()["items"]
    newest, *executed = (await api.get(f"{_WEATHER}/executions")).json()["items"]

    async def send(operation: Operation, **options: Any) -> httpx.Response:
        values = {each["name"]: each["schema"]["examples"][0] for each in operation.parameters("path")}
        execution = newest if operation.path.endswith("/abort") else executed[-1]
        there = {"run_id": runs[-1]["runId"], "execution": execution["executionId"]}
        url = operation.path.format(**{**values, **there})
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
