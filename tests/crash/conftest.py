"""Faults: a cluster of its own, whose parts these tests stop and break, and the service in forms that can be killed.

Nothing runs between two tests. Each starts what it needs on a task queue of its own: in this process where cancelling
is enough (`serve`), in processes of their own where signals count (`start_process`).
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from kube.errors import NotFound
from kube.objects import Object, ref_of
from localcluster import LocalCluster
from watcher.main import run_watcher
from worker.main import run_worker

_ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0


@pytest.fixture(scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    """With the CRDs, Testkube's namespace and its templates; Temporal keeps its data when it is stopped."""
    database = tmp_path_factory.mktemp("temporal") / "temporal.db"
    async with LocalCluster.start(temporal_db=database) as running:
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


@pytest.fixture
async def world(world: Any) -> AsyncIterator[Any]:
    """A world whose Experiments are gone before the next test: by force, since nothing runs that would clean up."""
    yield world
    await remove_by_force(world)


async def remove_by_force(world: Any) -> None:
    async def remove(obj: Object) -> None:
        ref = ref_of(EXPERIMENT, obj)
        with suppress(NotFound):
            await world.kube.merge_patch(ref, {"metadata": {"finalizers": None}})
            await world.kube.delete(ref, uid=obj["metadata"]["uid"])

    await asyncio.gather(*map(remove, await world.kube.list(EXPERIMENT, namespace=world.namespace)))


Serve = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def task_queue() -> str:
    return f"crash-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def serve(kube: KubeClient, temporal: Client, running: Any, task_queue: str) -> Serve:
    """`async with serve():` watcher and worker, or one of them, while the block lasts."""

    def start(
        options: Options | None = None,
        *,
        client: KubeClient = kube,
        temporal: Client = temporal,
        watcher: bool = True,
        worker: bool = True,
    ) -> AbstractAsyncContextManager[None]:
        chosen = options or Options()
        work = []
        if watcher:
            work.append(run_watcher(client, temporal, chosen, task_queue=task_queue))
        if worker:
            work.append(run_worker(client, temporal, chosen, task_queue=task_queue, sandbox=True))
        service: AbstractAsyncContextManager[None] = running(*work)
        return service

    return start


class Held:
    """A call that is not let through yet. `reached` is set when the service has come to it."""

    def __init__(self) -> None:
        self.reached, self._released = asyncio.Event(), asyncio.Event()

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        self.reached.set()
        await self._released.wait()


class HoldingClient(KubeClient):
    """Holds back calls that begin with given words, such as `create TestWorkflow`: each time the first that comes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held: dict[str, Held] = {}

    def hold(self, words: str) -> Held:
        held = self._held[words] = Held()
        return held

    async def _request(self, call: str, *args: Any, **kwargs: Any) -> Object:
        for words in [words for words in self._held if call.startswith(words)]:
            await self._held.pop(words).wait()
        return await super()._request(call, *args, **kwargs)


@pytest.fixture
async def holding(cluster: LocalCluster) -> AsyncIterator[HoldingClient]:
    async with await HoldingClient.connect(cluster.kubeconfig) as client:
        yield client


class ServiceProcess:
    """`experiment-operator ROLE` in a process of its own."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process, self.log = process, log

    async def says(self, words: str) -> None:
        """Waits until its log has these words."""
        async with asyncio.timeout(_PATIENCE):
            while words not in self.log.read_text():
                assert self._process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def end(self, number: int) -> int:
        """Sends it a signal. Returns its exit code once it has ended, as `subprocess` gives it."""
        self._process.send_signal(number)
        async with asyncio.timeout(_PATIENCE):
            return await self._process.wait()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def start_process(cluster: LocalCluster, tmp_path: Path, task_queue: str) -> AsyncIterator[Callable[..., Any]]:
    """`await start_process("watcher", TESTKUBE_NAMESPACE=".")`; what still runs at the end of the test is killed."""
    started: list[ServiceProcess] = []
    common = {
        **os.environ,
        **cluster.env(),
        "TEMPORAL_TASK_QUEUE": task_queue,
        "WORKFLOW_SANDBOX": "true",
    }

    async def start(role: str, **environment: str) -> ServiceProcess:
        log = tmp_path / f"{role}-{len(started)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "experiment_operator", role),
                env={**common, "API_PORT": "0", "METRICS_PORT": "0", **environment},
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
            )
        started.append(ServiceProcess(process, log))
        return started[-1]

    yield start
    for process in started:
        await process.kill()
