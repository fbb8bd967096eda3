"""What grows with workers, and what 1,000 Experiments a second need: `python -m benchmarks.capacity`.

A Temporal server on PostgreSQL, one watcher, and 1, 2 and 4 workers, all processes of their own on this machine. For
each number of workers a burst of new Experiments tells what a creation costs whom, less what all of it costs when there
is nothing to do. On a small machine CPU ends before workers do, so the same is done once more with workers to which the
API server answers late: these wait more than they compute. Prints what docs/capacity.md has of it. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvloop
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.capacity_tables import RATE, Stage, at_rate, by_workers, growth
from benchmarks.load import NAMESPACE, ReadyWatch, at_once, experiment
from benchmarks.processes import (
    ROOT,
    calls_of,
    cpu_seconds,
    machine_cpu_seconds,
    program,
    rss_megabytes,
    servers_of,
)
from benchmarks.temporal_on_postgres import Postgres, Temporal, find_programs
from experiments.resources import EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, EVENT, Source
from localcluster import LocalCluster
from localcluster.errors import LocalClusterError
from localcluster.processes import free_port

_WORKERS = (1, 2, 4)
_SHARDS = 128
_LATE_SECONDS = 0.5
_IDLE_SECONDS = 10
# PostgreSQL tells what a connection has done ten seconds later at the latest.
_SETTLED_SECONDS = 12
_WARM_UP = 20  # Experiments for each worker
# What is written under the lock of a history shard.
_SHARD_WRITES = ("CreateWorkflowExecution", "UpdateWorkflowExecution")


class Bench:
    """A cluster, Temporal and a watcher, to which workers are added."""

    def __init__(self, cluster: LocalCluster, postgres: Postgres, temporal: Temporal, kube: KubeClient) -> None:
        self._cluster = cluster
        self._postgres = postgres
        self._temporal = temporal
        self._kube = kube
        self._watcher = 0
        self._workers: list[int] = []
        self._servers = servers_of(str(cluster.kubeconfig.parent))
        self._created = 0
        self._empty = 0.0
        self.ready = ReadyWatch(kube)

    async def run(self, burst: int) -> tuple[list[Stage], list[Stage], dict[str, float]]:
        """Measure near workers, then such to which the API server answers late."""
        self._empty = self._postgres.compacted_bytes()
        async with AsyncExitStack() as watcher:
            self._watcher = await self._start(watcher, "watcher", self._cluster.kubeconfig)
            near = [stage async for stage in self._stages(self._cluster.kubeconfig, [burst] * len(_WORKERS))]
            sizes = await self._sizes()
            async with _late(self._cluster) as kubeconfig:
                late = [stage async for stage in self._stages(kubeconfig, [burst // 2 * count for count in _WORKERS])]
        return near, late, sizes

    async def _stages(self, kubeconfig: Path, bursts: Sequence[int]) -> AsyncIterator[Stage]:
        async with AsyncExitStack() as running:
            self._workers = []
            for count, burst in zip(_WORKERS, bursts, strict=True):
                while len(self._workers) < count:
                    self._workers.append(await self._start(running, "worker", kubeconfig))
                await self._become_ready(_WARM_UP * count)  # the first runs load code and fill connection pools
                await asyncio.sleep(_SETTLED_SECONDS)
                yield await self._stage(burst)

    async def _stage(self, burst: int) -> Stage:
        before = await self._before()
        await asyncio.sleep(_IDLE_SECONDS)
        idle = {name: used / _IDLE_SECONDS for name, used in _less(await self._after(), before).items()}
        before, began, machine = await self._before(), time.monotonic(), machine_cpu_seconds()
        cpu = self._cpu()
        await self._become_ready(burst)
        seconds, own = time.monotonic() - began, sum(_less(self._cpu(), cpu).values())
        others = machine_cpu_seconds() - machine - own
        await asyncio.sleep(_SETTLED_SECONDS)  # what comes after Ready (Events, closing the run) belongs to the cost
        used, took = _less(await self._after(), before), time.monotonic() - began
        each = {name: (value - idle[name] * took) / burst for name, value in used.items()}
        each["calls"] -= 1  # that which creates
        stage = Stage(
            workers=len(self._workers),
            per_second=burst / seconds,
            cores=own / seconds,
            others=others / seconds,
            worker_megabytes=rss_megabytes(self._workers[0]),
            each=each,
            idle=idle,
        )
        print(stage, file=sys.stderr, flush=True)
        return stage

    async def _become_ready(self, many: int) -> None:
        names = [f"e-{number}" for number in range(self._created, self._created + many)]
        self._created += many
        await at_once(self._kube.create(EXPERIMENT, experiment(name)) for name in names)
        await self.ready.until(names, 1)

    async def _start(self, stack: AsyncExitStack, role: str, kubeconfig: Path) -> int:
        """Start one and wait until it is ready; it ends with `stack`."""
        port = free_port()
        environ = (f"KUBECONFIG={kubeconfig}", f"TEMPORAL_ADDRESS={self._temporal.address}", f"METRICS_PORT={port}")
        command = ("env", *environ, "LOG_LEVEL=error", sys.executable, "-m", "experiment_operator", role)
        process = stack.enter_context(program(self._cluster, *command))
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
            while True:
                with suppress(httpx.TransportError):
                    if (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                        return process.pid
                await asyncio.sleep(0.1)

    async def _before(self) -> dict[str, float]:
        return {**await self._counts(), **self._cpu()}

    async def _after(self) -> dict[str, float]:
        return {**self._cpu(), **await self._counts()}

    def _cpu(self) -> dict[str, float]:
        return {
            "watcher": cpu_seconds(self._watcher),
            "workers": sum(cpu_seconds(pid) for pid in self._workers),
            "PostgreSQL": self._postgres.cpu_seconds(),
            "benchmark": cpu_seconds(os.getpid()),
            **{name: cpu_seconds(pid) for name, pid in self._servers.items()},
        }

    async def _counts(self) -> dict[str, float]:
        kubernetes = await self._cluster.kubectl("get", "--raw", "/metrics")
        temporal = await self._temporal.metrics()
        writes = [f'operation="{name}"' for name in ("create", "update", "delete")]
        return {
            "calls": await calls_of(self._cluster),
            "etcd writes": _total(kubernetes, "etcd_request_duration_seconds_count", writes),
            "etcd bytes": _total(kubernetes, "apiserver_storage_size_bytes", [""]),
            "requests": _total(temporal, "service_requests", ['namespace="default"'], 'service_name="frontend"'),
            "tasks": _total(temporal, "service_requests", ['operation="AddWorkflowTask"'], 'service_name="matching"'),
            "persistence": _total(temporal, "persistence_requests", ['namespace="default"'], 'service_name="history"'),
            "shard writes": _total(temporal, "persistence_requests", _operations(_SHARD_WRITES)),
            "shard seconds": _total(temporal, "persistence_latency_sum", _operations(_SHARD_WRITES)),
            **self._postgres.totals(),
        }

    async def _sizes(self) -> dict[str, float]:
        """What an Experiment leaves behind: bytes of JSON in the cluster, events in the history of its run."""
        bytes_of = {}
        for resource in (EXPERIMENT, CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER, EVENT):
            page, _ = await anext(self._kube.list_pages(Source(resource, NAMESPACE), size=50))
            bytes_of[resource] = statistics.mean(len(json.dumps(each, separators=(",", ":"))) for each in page)
        temporal = await Client.connect(self._temporal.address, data_converter=pydantic_data_converter)
        runs = temporal.list_workflows(f"WorkflowId STARTS_WITH 'experiment/{NAMESPACE}/'")
        return {
            "Event bytes": bytes_of.pop(EVENT),
            "stored bytes": sum(bytes_of.values()),
            "Temporal events": statistics.mean([run.history_length async for run in runs]),
            "database bytes": (self._postgres.compacted_bytes() - self._empty) / self._created,
        }


def _total(metrics: str, name: str, one_of: Iterable[str], having: str = "") -> float:
    """Add up a metric's values, of which the labels have one of these texts, and `having`."""
    lines = [line for line in metrics.splitlines() if line.startswith(f"{name}{{") and having in line]
    return sum(float(line.split()[-1]) for line in lines if any(text in line for text in one_of))


def _operations(names: Iterable[str]) -> list[str]:
    return [f'operation="{name}"' for name in names]


def _less(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: value - before[name] for name, value in after.items()}


@asynccontextmanager
async def _late(cluster: LocalCluster) -> AsyncIterator[Path]:
    """A kubeconfig by which the API server of `cluster` hears everything late."""
    host, port = cluster.api_url.removeprefix("https://").split(":")

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        upstream = await asyncio.open_connection(host, int(port))
        ways = _pass_on(reader, upstream[1], _LATE_SECONDS), _pass_on(upstream[0], writer, 0)
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task, end in zip(tasks, (upstream[1], writer), strict=True):
            task.cancel()
            end.close()

    async with await asyncio.start_server(serve, host, 0) as server:
        address = ":".join(map(str, server.sockets[0].getsockname()))
        kubeconfig = cluster.kubeconfig.with_name("kubeconfig-late")
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(cluster.kubeconfig.read_text().replace(f"{host}:{port}", address))
        yield kubeconfig


async def _pass_on(reader: StreamReader, writer: StreamWriter, late: float) -> None:
    """Pass on each piece so much later than it came, however many are under way, until either side ends."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        while data := await reader.read(65536):
            pieces.put_nowait((time.monotonic() + late, data))
        pieces.put_nowait((0, b""))

    async def write() -> None:
        while piece := (due := await pieces.get())[1]:
            await asyncio.sleep(due[0] - time.monotonic())
            writer.write(piece)
            await writer.drain()

    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(write())
    except* OSError:
        pass


async def main(burst: int) -> tuple[list[Stage], list[Stage], dict[str, float]]:
    async with LocalCluster.start() as cluster, Postgres.start() as postgres:
        await cluster.stop_temporal()
        await cluster.install(ROOT / "crds")
        await cluster.kubectl("create", "namespace", NAMESPACE)
        await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(ROOT / "deploy" / "testkube"))
        async with (
            await KubeClient.connect(cluster.kubeconfig) as kube,
            Temporal.start(postgres, cluster.kubeconfig.parent, _SHARDS) as temporal,
            asyncio.TaskGroup() as tasks,
        ):
            bench = Bench(cluster, postgres, temporal, kube)
            following = tasks.create_task(bench.ready.run())
            found = await bench.run(burst)
            following.cancel()
    return found


def page(near: list[Stage], late: list[Stage], sizes: dict[str, float]) -> Iterator[str]:
    """What docs/capacity.md ends with."""
    yield from ("## As measured", "")
    yield f"On {datetime.now(UTC):%Y-%m-%d}, {len(os.sched_getaffinity(0))} cores, {_SHARDS} history shards."
    yield ""
    yield from by_workers(near, sizes["Temporal events"])
    late_ms = f"{_LATE_SECONDS * 1000:.0f} ms"
    yield from ("", f"Workers whose calls reach the API server {late_ms} late, with as many Experiments for each:", "")
    yield from growth(late)
    yield from ("", f"## {RATE:,} Experiments a second", "")
    yield from at_rate(near, late[0], sizes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument(
        "--burst",
        type=int,
        default=240,
        help="Experiments created at once; half as many for each late worker (default: 240)",
    )
    chosen = parser.parse_args()
    try:
        find_programs()
        print("\n".join(page(*uvloop.run(main(chosen.burst)))))
    except (RuntimeError, LocalClusterError) as problem:
        sys.exit(f"error: {problem}")
