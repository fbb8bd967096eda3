"""The service as a process, seen from outside: by its port, its log and the traces that it sends."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from localcluster import LocalCluster
from support.clusters import install_testkube
from support.evaluations import Evaluations
from support.observed import ObservedProcess, Receiver
from support.testkube import TestkubeStandIn
from support.world import World


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture(scope="session")
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its URL, and the spans that it has been sent: more of them as time goes by."""
    handler = type("_Receiver", (Receiver,), {"spans": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.spans
        server.shutdown()


@pytest.fixture
async def start(cluster: LocalCluster, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[ObservedProcess]]]:
    """`await start("watcher", SETTING="value")`; what still runs at the end of the test is ended."""
    async with AsyncExitStack() as ends:

        async def begin(role: str, **environment: str) -> ObservedProcess:
            process = await ObservedProcess.start(role, tmp_path / f"{role}.log", {**cluster.env(), **environment})
            ends.push_async_callback(process.stop)
            return process

        yield begin


@pytest.fixture(scope="session")
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def evaluations(world: World, testkube: TestkubeStandIn) -> Evaluations:
    return Evaluations(world, testkube)


@pytest.fixture(scope="session")
async def service(
    cluster: LocalCluster,
    receiver: tuple[str, Any],
    testkube: TestkubeStandIn,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[ObservedProcess]:
    """Watcher, worker and api in one, with the workflow in its sandbox and all that can be seen turned on."""
    chosen = {
        "API_AUTH": "none",
        "LEADER_ELECT": "true",
        "LOG_LEVELS": "kube=debug,uvicorn=error",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver[0],
        "TESTKUBE_API_URL": testkube.url,
        "WORKFLOW_SANDBOX": "true",
    }
    log = tmp_path_factory.mktemp("service") / "service.log"
    process = await ObservedProcess.start("all", log, {**cluster.env(), **chosen})
    await process.listens()
    await process.answers("/readyz", 200)
    yield process
    await process.stop()


@pytest.fixture(scope="session")
async def api(service: ObservedProcess) -> str:
    """The URL of its api."""
    return f"http://127.0.0.1:{(await service.event('api listens'))['port']}"
