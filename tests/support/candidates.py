"""Candidates for one Lease, each with a connection of its own that can be cut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from kube.client import KubeClient
from kube.errors import KubeError, NotFoundError
from kube.lease import Lease, Times
from kube.objects import LEASE, Object, ObjectRef
from localcluster import LocalCluster
from support.polling import PATIENCE, until

# Runs out soon.
_BRISK = Times(duration=1.5, deadline=0.8, renew=0.2, retry=0.1)
# Does not run out while a test lasts, however busy the machine is.
_PATIENT = Times(duration=3600, deadline=1800, renew=0.2, retry=0.1)


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

    brisk, patient = _BRISK, _PATIENT

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
        await until(lambda: self.working and self.working[0] not in others_than)
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
        with suppress(NotFoundError):
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
        async with asyncio.timeout(PATIENCE):
            while len(seen) <= times:
                spec = await self.spec()
                if spec.get("renewTime") and spec["renewTime"] not in seen:
                    seen.append(spec["renewTime"])
                await asyncio.sleep(0.02)
        return spec

    async def close(self) -> None:
        await asyncio.gather(*(candidate.close() for candidate in self._all))
