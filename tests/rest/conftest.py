"""The REST application on the real API server and the real Temporal server, and runs made to order.

The runs are those of the real workflow; its steps are scripted, so that a test says what they find and how they fail.
Test files cannot import from here, so what they need beyond fixtures hangs on `Runs`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from api.app import create_app
from api.auth.kubernetes import Access, Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.contract import (
    SIGNAL,
    TAKE_SNAPSHOT,
    WORKFLOW_TYPE,
    WRITE_STATUS,
    ActionRequest,
    Blocker,
    PlannedAction,
    RunState,
    SnapshotRequest,
    SnapshotResult,
    StatusRequest,
    Target,
    WakeSignal,
    memo,
)
from experiments.options import Options
from experiments.plan import Step
from experiments.resources import EXPERIMENT, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object, ObjectRef
from localcluster import LocalCluster
from worker.workflow import ReconcileExperiment

_TASK_QUEUE = "rest"
_UI = "http://temporal.example:8233"
OPTIONS = Options()


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture(scope="session")
async def kube(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def caches(kube: KubeClient) -> AsyncIterator[Caches]:
    filled = Caches(kube, [*sources(OPTIONS), *name_sources(OPTIONS)])
    task = asyncio.create_task(filled.run())
    await filled.wait_synced()
    yield filled
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture(scope="session")
async def templates(cluster: LocalCluster, caches: Caches, until: Callable[..., Any]) -> None:
    """Testkube's namespace and what every installation has there before the first Experiment."""
    await cluster.kubectl("create", "namespace", "testkube")
    await cluster.kubectl("apply", "-n", "testkube", "-f", str(Path(__file__).parents[2] / "deploy" / "testkube"))
    await until(lambda: len(caches.objects(TEST_WORKFLOW_TEMPLATE)) >= 5)


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    """`async with serve(caches, temporal) as api`: a client of the application on these two."""

    @asynccontextmanager
    async def connect(
        caches: Caches, temporal: Client, access: Access | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        config = ApiConfig(temporal_ui_url=_UI, task_queue=_TASK_QUEUE)
        app = create_app(caches, temporal, access or Everybody(), config)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
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
        config = ApiConfig(temporal_ui_url=_UI, task_queue=_TASK_QUEUE)
        app = create_app(caches, temporal, access or Everybody(), config)
        async with serving(app, "127.0.0.1", 0) as port:
            with closing(app.state.shared.broadcast):
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                    yield client

    return connect


class Stream:
    """What a reader of server-sent events has received so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.events: list[dict[str, Any]] = []
        self.comments = 0
        self.last_id = ""
        self.ended = False

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    def of(self, namespace: str, name: str) -> list[str]:
        """The names of the events about this Experiment."""
        about = [event for event in self.events if event["data"].get("name") == name]
        return [event["event"] for event in about if event["data"]["namespace"] == namespace]

    async def read(self) -> None:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            field, _, value = line.partition(": ")
            if line:
                fields[field] = value
                self.comments += not field
            elif "event" in fields:
                self.last_id = fields.get("id", self.last_id)
                self.events.append({**fields, "data": json.loads(fields["data"])})
            if not line:
                fields = {}
        self.ended = True


@pytest.fixture(scope="session")
def follow() -> Callable[..., Any]:
    """`async with follow(api, path, last_event_id) as stream`: reads events until the context is left."""

    @asynccontextmanager
    async def connect(
        api: httpx.AsyncClient, path: str, last_event_id: str = "", **headers: str
    ) -> AsyncIterator[Stream]:
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        async with api.stream("GET", f"/api/v1{path}", headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            stream = Stream(response)
            reading = asyncio.create_task(stream.read())
            try:
                yield stream
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    return connect


@pytest.fixture
async def temporal_away() -> Client:
    """A client of a server that is not there: nothing listens on this port."""
    return await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)


@pytest.fixture
async def namespace(cluster: LocalCluster) -> str:
    name = f"rest-{uuid4().hex[:8]}"
    await cluster.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def create(kube: KubeClient, caches: Caches, namespace: str, until: Callable[..., Any]) -> Callable[..., Any]:
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

        def known() -> bool:
            cached = caches.get(ref)
            return cached is not None and cached["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]

        await until(known)
        return obj

    return make


@pytest.fixture
def change(kube: KubeClient, caches: Caches, namespace: str, until: Callable[..., Any]) -> Callable[..., Any]:
    """`await change("weather", "TemplateMissing")`: a new reason of Ready, which the caches know, too."""

    async def write(name: str, reason: str, message: str = "") -> None:
        ref = ObjectRef(EXPERIMENT, namespace, name)
        condition = {"type": "Ready", "status": "False", "reason": reason, "message": message}
        status = {"conditions": [{**condition, "lastTransitionTime": "2026-11-23T10:00:00Z"}]}
        obj = await kube.merge_patch(ref, {"status": status}, subresource="status")

        def known() -> bool:
            cached = caches.get(ref)
            return cached is not None and cached["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]

        await until(known)

    return write


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """`await until(condition)`: the first true result of a function or coroutine function."""

    async def wait(condition: Callable[[], Any], seconds: float = 20) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                result = condition()
                if isinstance(result, Awaitable):
                    result = await result
                if result:
                    return result
                await asyncio.sleep(0.05)

    return wait


@dataclass
class Runs:
    """Starts runs and says what their steps find. Experiments are told apart by name: each test uses its own."""

    client: Client
    findings: dict[str, SnapshotResult] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """By Experiment, the step that fails on every attempt."""

    def plan(self, name: str, *steps: Step, problem: tuple[str, str] | None = None, news: bool = True) -> None:
        """What the snapshots of this Experiment find: these steps to do, or this problem in the way."""
        actions = [PlannedAction(step, "ConfigMap", "testkube", name, f"do {step} on {name}") for step in steps]
        self.findings[name] = SnapshotResult(
            True, 3, False, False, actions, [Blocker(*problem)] if problem else [], news
        )

    async def start(self, target: Target, *reasons: str) -> WorkflowHandle[Any, Any]:
        """As the watcher does: starts a run, or signals the one that is open."""
        return await self.client.start_workflow(
            WORKFLOW_TYPE,
            RunState(target),
            id=target.workflow_id,
            task_queue=_TASK_QUEUE,
            start_signal=SIGNAL,
            start_signal_args=[WakeSignal(list(reasons))],
            memo=memo(target, list(reasons)),
        )

    async def finish(self, target: Target, *reasons: str) -> str:
        """Starts a run and waits for its end, good or bad. Returns its ID."""
        handle = await self.start(target, *reasons)
        with suppress(Exception):
            await handle.result()
        return handle.result_run_id or ""

    async def end(self, target: Target) -> None:
        """So that no run of a test waits for ever."""
        await self.client.get_workflow_handle(target.workflow_id).terminate()

    @activity.defn(name=TAKE_SNAPSHOT)
    async def take_snapshot(self, request: SnapshotRequest) -> SnapshotResult:
        return self.findings[request.target.name]

    @activity.defn(name=WRITE_STATUS)
    async def write_status(self, request: StatusRequest) -> str:
        return f"wrote the status of {request.target.name}"

    def step(self, step: Step) -> Callable[[ActionRequest], Awaitable[str]]:
        @activity.defn(name=step)
        async def carry_out(request: ActionRequest) -> str:
            if self.broken.get(request.target.name) == step:
                raise ApplicationError("the API server is away", type="ApiUnavailable")
            return f"did {step} on {request.target.name}"

        return carry_out


@pytest.fixture(scope="session")
async def runs(temporal: Client) -> AsyncIterator[Runs]:
    scripted = Runs(temporal)
    steps = [scripted.take_snapshot, scripted.write_status, *map(scripted.step, Step)]
    async with Worker(temporal, task_queue=_TASK_QUEUE, workflows=[ReconcileExperiment], activities=steps):
        yield scripted


@pytest.fixture
def target() -> Target:
    """An Experiment that no other test has, and that does not exist in the cluster."""
    return Target("default", f"weather-{uuid4().hex[:8]}", str(uuid4()))


@pytest.fixture
def history_of(api: httpx.AsyncClient, until: Callable[..., Any]) -> Callable[..., Any]:
    """`await history_of(target, n)`: its reconciliations once visibility, which lags, knows `n` of them."""

    async def fetch(target: Target, count: int, **query: Any) -> list[dict[str, Any]]:
        url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"

        async def known() -> tuple[list[dict[str, Any]]] | None:
            items = (await api.get(url, params=query)).json().get("items", [])
            return (items,) if len(items) == count else None

        (found,) = await until(known)
        return list(found)

    return fetch


@pytest.fixture(scope="session")
def saved() -> Callable[[str], dict[str, Any]]:
    """A history as a server sent it, from tests/rest/data."""

    def load(name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text())
        return document

    return load
