"""Candidates for one Lease, each with a connection of its own that can be cut, on a cluster that these tests may stop.

Test files cannot import from here, so what they need beyond fixtures hangs on `Candidates`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from kube.client import KubeClient
from kube.errors import KubeError, NotFound
from kube.lease import Lease, Times
from kube.objects import LEASE, Object, ObjectRef
from localcluster import LocalCluster

_ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0
# Runs out soon.
_BRISK = Times(duration=1.5, deadline=0.8, renew=0.2, retry=0.1)
# Does not run out while a test lasts, however busy the machine is.
_PATIENT = Times(duration=3600, deadline=1800, renew=0.2, retry=0.1)


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not condition():  # noqa: ASYNC110 - a test may wait for anything
            await asyncio.sleep(0.01)


class Line:
    """A TCP connection to the API server, by way of a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._pipes: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def hang(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    async def close(self) -> None:
        """Connections break, and no more are accepted."""
        assert self._server
        self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._track(asyncio.current_task())
        try:
            await self._open.wait()
            there, back = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):  # the API server is away, or the line is
            writer.close()
            return
        for source, sink in ((reader, back), (there, writer)):
            self._track(asyncio.create_task(self._pump(source, sink)))

    def _track(self, pipe: asyncio.Task[None] | None) -> None:
        assert pipe
        self._pipes.add(pipe)
        pipe.add_done_callback(self._pipes.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(65536):
                    await self._open.wait()
                    sink.write(data)
                    await sink.drain()
        finally:
            sink.close()


class Candidate:
    """One that runs until it is ended or killed."""

    def __init__(self, lease: Lease, client: KubeClient, line: Line, ledger: Candidates) -> None:
        self.lease, self.line, self._client = lease, line, client
        self._task = asyncio.create_task(lease.lead(lambda: ledger.work(self)))

    async def end(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def kill(self) -> None:
        """As far as anybody else can see it: it writes nothing more, not even that it lets go."""
        await self.line.close()
        await self.end()

    async def close(self) -> None:
        await self.end()
        await self._client.close()
        await self.line.close()


class Candidates:
    """All candidates for one Lease, and who of them worked when."""

    brisk, patient, until = _BRISK, _PATIENT, staticmethod(_until)

    def __init__(self, cluster: LocalCluster, kube: KubeClient, namespace: str, directory: Path) -> None:
        self.cluster, self.kube, self._directory = cluster, kube, directory
        self.ref = ObjectRef(LEASE, namespace, "leader")
        self.working: list[Candidate] = []
        self.begun: list[Candidate] = []
        """Whose work was begun, in order."""
        self.most_at_once = 0
        self._all: list[Candidate] = []

    async def start(self, times: Times = _BRISK) -> Candidate:
        host, port = self.cluster.api_url.removeprefix("https://").split(":")
        line = Line(host, int(port))
        by_line = f"https://{host}:{await line.listen()}"
        kubeconfig = self._directory / f"kubeconfig-{len(self._all)}"
        kubeconfig.write_text(self.cluster.kubeconfig.read_text().replace(self.cluster.api_url, by_line))
        client = await KubeClient.connect(kubeconfig)
        candidate = Candidate(Lease(client, self.ref.namespace, self.ref.name, times=times), client, line, self)
        self._all.append(candidate)
        return candidate

    async def leader(self, *others_than: Candidate) -> Candidate:
        """Waits for one that is not one of these."""
        await _until(lambda: self.working and self.working[0] not in others_than)
        return self.working[0]

    async def work(self, candidate: Candidate) -> None:
        """Has something to do before it can end."""
        self.begun.append(candidate)
        self.working.append(candidate)
        self.most_at_once = max(self.most_at_once, len(self.working))
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            self.working.remove(candidate)

    async def write(self, **spec: Any) -> Object:
        """The Lease with this spec, which replaces the one that it has."""
        with suppress(NotFound):
            await self.delete()
        meta = {"namespace": self.ref.namespace, "name": self.ref.name}
        body = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}
        return await self.kube.create(LEASE, body)

    async def edit(self, **spec: Any) -> Object:
        return await self.kube.merge_patch(self.ref, {"spec": spec})

    async def delete(self) -> None:
        live = await self.kube.get(self.ref)
        await self.kube.delete(self.ref, uid=live["metadata"]["uid"])

    async def spec(self) -> Any:
        try:
            return (await self.kube.get(self.ref)).get("spec", {})
        except KubeError:
            return {}

    async def renewed(self, times: int = 3) -> Any:
        """Waits for renewals that are still to come; returns what the last has left."""
        seen: list[str] = []
        async with asyncio.timeout(_PATIENCE):
            while len(seen) <= times:
                spec = await self.spec()
                if spec.get("renewTime") and spec["renewTime"] not in seen:
                    seen.append(spec["renewTime"])
                await asyncio.sleep(0.02)
        return spec

    async def close(self) -> None:
        await asyncio.gather(*(candidate.close() for candidate in self._all))


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A cluster of its own: tests stop its API server, and their watchers would see the Experiments of others."""
    async with LocalCluster.start() as running:
        await running.install(_ROOT / "crds")
        yield running


@pytest.fixture(scope="session")
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture
async def namespace(cluster: LocalCluster) -> str:
    name = f"lease-{uuid.uuid4().hex[:8]}"
    await cluster.kubectl("create", "namespace", name)
    return name


@pytest.fixture
async def candidates(
    cluster: LocalCluster, kube: KubeClient, namespace: str, tmp_path: Path
) -> AsyncIterator[Candidates]:
    """For a Lease that does not exist yet. Whatever the test does: two of them never work at the same time."""
    found = Candidates(cluster, kube, namespace, tmp_path)
    yield found
    await found.close()
    assert found.most_at_once <= 1


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Awaitable[None]]:
    return _until


class Watcher:
    """`experiment-operator watcher` in a process of its own."""

    def __init__(self, process: Process, log: Path) -> None:
        self._process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def says(self, *words: str) -> str:
        """Waits until a line of its log has all of these words; returns the log up to there."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                lines = self.log.splitlines()
                found = [number for number, line in enumerate(lines) if all(word in line for word in words)]
                if found:
                    return "\n".join(lines[: found[0] + 1])
                assert self._process.returncode is None, self.log
                await asyncio.sleep(0.05)

    async def end(self, number: int) -> int:
        """Sends it a signal. Returns its exit code once it has ended, as `subprocess` gives it."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(_PATIENCE):
            return await self._process.wait()


@pytest.fixture
async def start_watcher(cluster: LocalCluster, namespace: str, tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Each is a candidate for the Lease `leader` in the test's namespace."""
    started: list[Watcher] = []
    chosen = {"TEMPORAL_TASK_QUEUE": namespace, "TESTKUBE_NAMESPACE": "."}
    lease = {"LEADER_ELECT": "true", "LEASE_NAMESPACE": namespace, "LEASE_NAME": "leader", "METRICS_PORT": "0"}

    async def start() -> Watcher:
        log = tmp_path / f"watcher-{len(started)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "experiment_operator", "watcher"),
                env={**os.environ, **cluster.env(), **chosen, **lease},
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
            )
        started.append(Watcher(process, log))
        return started[-1]

    yield start
    for watcher in started:
        await watcher.end(signal.SIGKILL)
