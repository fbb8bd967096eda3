"""`make bench`: what one Experiment costs, and how many a second, on this machine.

Starts a local cluster with Temporal's in-memory dev server, watcher and worker as processes of their own, and measures
from outside: the floor (see `load.Floor`), one Experiment at a time, a burst of new ones, all of those updated. Figures
go to .local/bench.json, the table to standard output. Reads /proc, so Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvloop
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.load import NAMESPACE, Floor, ReadyWatch, experiment, ref
from benchmarks.processes import cpu_seconds, rss_megabytes, servers_of
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from localcluster import LocalCluster

ROOT = Path(__file__).parents[1]
_CONNECTIONS = 32
# What a reconciliation reads or writes; everything else that the API server counts is other people's business.
_COUNTED = ("agents", "aigateways", "configmaps", "events", "experiments", "testtriggers", "testworkflows")


async def main(singles: int, many: int) -> dict[str, Any]:
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await cluster.install(ROOT / "crds")
        await cluster.kubectl("create", "namespace", NAMESPACE)
        await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(ROOT / "deploy" / "testkube"))
        with process(cluster, "watcher") as watcher, process(cluster, "worker") as worker:
            servers = servers_of(str(cluster.kubeconfig.parent), f"--port={cluster.temporal_address.split(':')[1]}")
            pids = {"watcher": watcher.pid, "worker": worker.pid, **servers}
            ready = ReadyWatch(kube)
            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(ready.run())
                figures = await _measure(cluster, kube, ready, pids, singles=singles, many=many)
                following.cancel()
            return figures


async def _measure(
    cluster: LocalCluster, kube: KubeClient, ready: ReadyWatch, pids: dict[str, int], *, singles: int, many: int
) -> dict[str, Any]:
    async def become_ready(names: list[str]) -> None:
        await at_once(kube.create(EXPERIMENT, experiment(name)) for name in names)
        await ready.until(names, 1)

    async def update(names: list[str]) -> None:
        patch = {"spec": {"llmAsAJudgeModel": "another"}}
        await at_once(kube.merge_patch(ref(name), patch) for name in names)
        await ready.until(names, 2)

    for number in range(20):  # the first runs load code and fill connection pools
        await become_ready([f"warm-{number}"])
    floor = Floor(kube)
    await floor.prepare()

    single_cpu: dict[str, float] = {}
    floor_ms = [await _milliseconds(floor.once(str(number))) for number in range(singles)]
    async with measured_cpu(pids, single_cpu):
        single_ms = [await _milliseconds(become_ready([f"single-{number}"])) for number in range(singles)]
        await asyncio.sleep(1)

    names = [f"burst-{number}" for number in range(many)]
    burst_cpu: dict[str, float] = {}
    update_cpu: dict[str, float] = {}
    calls = await calls_of(cluster)
    async with measured_cpu(pids, burst_cpu):
        burst_ms = await _milliseconds(become_ready(names))
        await asyncio.sleep(2)  # what comes after Ready (Events, closing the run) belongs to the cost
    calls = await calls_of(cluster) - calls - many
    async with measured_cpu(pids, update_cpu):
        update_ms = await _milliseconds(update(names))
        await asyncio.sleep(2)
    return {
        "count": {"single": singles, "burst": many},
        "floor_ms": _quantiles(floor_ms),
        "single_ms": _quantiles(single_ms),
        "burst_per_second": many / burst_ms * 1000,
        "update_per_second": many / update_ms * 1000,
        "calls_per_experiment": calls / many,
        "events_per_run": await _events_per_run(cluster),
        "cpu_ms_per_single": {name: seconds / singles * 1000 for name, seconds in single_cpu.items()},
        "cpu_ms_per_burst": {name: seconds / many * 1000 for name, seconds in burst_cpu.items()},
        "cpu_ms_per_update": {name: seconds / many * 1000 for name, seconds in update_cpu.items()},
        "memory_mb": {name: rss_megabytes(pid) for name, pid in pids.items()},
    }


async def at_once(calls: Iterable[Awaitable[Any]]) -> None:
    """As fast as a client with as many connections as there are calls under way can."""
    gate = asyncio.Semaphore(_CONNECTIONS)

    async def one(call: Awaitable[Any]) -> None:
        async with gate:
            await call

    await asyncio.gather(*map(one, calls))


async def _milliseconds(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


def _quantiles(values: list[float]) -> dict[str, float]:
    return {"p50": statistics.median(values), "p95": statistics.quantiles(values, n=20)[-1]}


@asynccontextmanager
async def measured_cpu(pids: dict[str, int], into: dict[str, float]) -> AsyncIterator[None]:
    """CPU seconds that each process uses meanwhile."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    yield
    into.update({name: cpu_seconds(pid) - before[name] for name, pid in pids.items()})


async def calls_of(cluster: LocalCluster) -> int:
    """Calls about the objects in question that the API server has answered so far, without watches and lists."""
    metrics = await cluster.kubectl("get", "--raw", "/metrics")
    lines = [line for line in metrics.splitlines() if line.startswith("apiserver_request_total{")]
    counted = [line for line in lines if any(f'resource="{name}"' in line for name in _COUNTED)]
    return sum(
        round(float(line.split()[-1])) for line in counted if 'verb="WATCH"' not in line and 'verb="LIST"' not in line
    )


async def _events_per_run(cluster: LocalCluster) -> float:
    temporal = await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)
    runs = temporal.list_workflows(f"WorkflowId STARTS_WITH 'experiment/{NAMESPACE}/single-'")
    return statistics.mean([run.history_length async for run in runs])


@contextmanager
def process(cluster: LocalCluster, role: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "experiment_operator", role]
    environ = {**os.environ, **cluster.env(), "LOG_LEVEL": "warning", "METRICS_PORT": "0"}
    with subprocess.Popen(command, env=environ, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    floor, single = figures["floor_ms"], figures["single_ms"]
    yield "floor: three applies and a status write, p50 / p95", f"{floor['p50']:.1f} / {floor['p95']:.1f} ms"
    yield "one Experiment to Ready, p50 / p95", f"{single['p50']:.1f} / {single['p95']:.1f} ms"
    yield "… as a multiple of the floor", f"{single['p50'] / floor['p50']:.1f} / {single['p95'] / floor['p95']:.1f}"
    yield f"{figures['count']['burst']} created at once", f"{figures['burst_per_second']:.1f} per second"
    yield f"{figures['count']['burst']} updated at once", f"{figures['update_per_second']:.1f} per second"
    yield "API calls per new Experiment", f"{figures['calls_per_experiment']:.2f}"
    yield "Temporal events per new Experiment", f"{figures['events_per_run']:.1f}"
    for what in ("single", "burst", "update"):
        cpu = figures[f"cpu_ms_per_{what}"]
        parts = ", ".join(f"{name} {used:.1f}" for name, used in cpu.items())
        yield f"CPU per Experiment, {what}", f"{sum(cpu.values()):.1f} ms ({parts})"
    memory = figures["memory_mb"]
    yield "memory of watcher and worker", f"{memory['watcher']:.0f} + {memory['worker']:.0f} MB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--singles", type=int, default=100, help="Experiments measured one at a time (default: 100)")
    parser.add_argument("--burst", type=int, default=300, help="Experiments created at once (default: 300)")
    chosen = parser.parse_args()
    found = uvloop.run(main(chosen.singles, chosen.burst))
    target = ROOT / ".local" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in _rows(found))]))
