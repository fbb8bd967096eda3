"""The service as a process, seen from outside: by its port, its log and the traces that it sends.

Test files cannot import from here, so what they need beyond fixtures hangs on `Service` and `Receiver`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from kube.client import KubeClient
from localcluster import LocalCluster

_ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A cluster of its own: the service would reconcile the Experiments of other tests, too."""
    async with LocalCluster.start() as running:
        await running.install(_ROOT / "crds")
        await running.kubectl("create", "namespace", "testkube")
        await running.kubectl("apply", "-n", "testkube", "-f", str(_ROOT / "deploy" / "testkube"))
        yield running


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture(scope="session")
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


class Receiver(BaseHTTPRequestHandler):
    """Takes traces as an OTLP receiver does, over HTTP."""

    spans: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = MessageToDict(ExportTraceServiceRequest.FromString(body))
        for resource in request["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.spans += scope["spans"]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its URL, and the spans that it has been sent: more of them as time goes by."""
    handler = type("_Receiver", (Receiver,), {"spans": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.spans
        server.shutdown()


class Service:
    """`experiment-operator ROLE` in a process of its own. `http` is a client of its port for metrics and probes."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process, self._log = process, log
        self.http = httpx.AsyncClient(trust_env=False, timeout=_PATIENCE)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of its log, but for one that is still being written."""
        return [json.loads(line) for line in self.log.split("\n")[:-1]]

    async def says(self, event: str) -> dict[str, Any]:
        """Waits until its log has this event."""
        async with asyncio.timeout(_PATIENCE):
            while not (found := [line for line in self.events if line["event"] == event]):
                assert self.process.returncode is None, self.log
                await asyncio.sleep(0.05)
        return found[0]

    async def listens(self) -> None:
        port = (await self.says("metrics and probes are served"))["port"]
        self.http.base_url = httpx.URL(f"http://127.0.0.1:{port}")

    async def answers(self, path: str, status: int) -> str:
        """Waits until it does. Returns what it says."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                answer = await self.http.get(path)
                if answer.status_code == status:
                    return answer.text
                await asyncio.sleep(0.05)

    async def metrics(self) -> dict[str, Metric]:
        families = text_string_to_metric_families((await self.http.get("/metrics")).text)
        return {family.name: family for family in families}

    async def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name that have these labels."""
        samples = [sample for family in (await self.metrics()).values() for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    async def counts(self, name: str, **labels: str) -> None:
        """Waits until there is something to count."""
        async with asyncio.timeout(_PATIENCE):
            while not await self.value(name, **labels):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)


Start = Callable[..., Awaitable[Service]]


async def _start(role: str, log: Path, environment: dict[str, str]) -> Service:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "experiment_operator", role),
            env={**os.environ, "METRICS_PORT": "0", "API_PORT": "0", "LOG_FORMAT": "json", **environment},
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
        )
    return Service(process, log)


async def _end(service: Service) -> None:
    await service.http.aclose()
    if service.process.returncode is None:
        service.process.terminate()
        await service.process.wait()


@pytest.fixture
async def start(cluster: LocalCluster, tmp_path: Path) -> AsyncIterator[Start]:
    """`await start("watcher", SETTING="value")`; what still runs at the end of the test is ended."""
    async with AsyncExitStack() as ends:

        async def begin(role: str, **environment: str) -> Service:
            service = await _start(role, tmp_path / f"{role}.log", {**cluster.env(), **environment})
            ends.push_async_callback(_end, service)
            return service

        yield begin


@pytest.fixture(scope="session")
async def service(
    cluster: LocalCluster, receiver: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """Watcher, worker and api in one, with the workflow in its sandbox and all that can be seen turned on."""
    chosen = {
        "API_AUTH": "none",
        "LEADER_ELECT": "true",
        "LOG_LEVELS": "kube=debug,uvicorn=error",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver[0],
        "WORKFLOW_SANDBOX": "true",
    }
    log = tmp_path_factory.mktemp("service") / "service.log"
    running = await _start("all", log, {**cluster.env(), **chosen})
    await running.listens()
    await running.answers("/readyz", 200)
    yield running
    await _end(running)


@pytest.fixture(scope="session")
async def api(service: Service) -> str:
    """The URL of its api."""
    return f"http://127.0.0.1:{(await service.says('api listens'))['port']}"


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """`await until(condition)`: fails after a generous while."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not condition():  # noqa: ASYNC110 - a test may wait for anything
                await asyncio.sleep(0.05)

    return wait
