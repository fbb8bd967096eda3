"""What it costs to follow executions: `python -m benchmarks.executions`, 1,000 Experiments that are evaluated in turn.

The simulated Testkube runs in this process and executes as if it were real; watcher and worker are processes of their
own. Counted from outside, over a minute of steady load: the CPU of each process for one execution, calls to the API
server and to Testkube, events of Temporal, and how long after Testkube the status says the same. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiohttp import web
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.load import NAMESPACE, ReadyWatch, at_once, experiment
from benchmarks.processes import ROOT, calls_of, measured_cpu, process, servers_of
from experiments.executions import followed_prefix
from experiments.resources import AGENT, EXPERIMENT
from kube.client import KubeClient
from kube.objects import Object, Source
from kube.reflector import Change, Reflector
from localcluster import LocalCluster
from localcluster.testkube.api import Handler
from localcluster.testkube.cluster import ClusterTestkube
from localcluster.testkube.executions import Json

_WARM_UP_SECONDS = 10
_SECONDS = 60
_PACE_SECONDS = 1.0


class _Testkube(ClusterTestkube):
    """Counts what it is asked, and knows when each execution ended."""

    asked = 0

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked += 1
        return await super().answer(request, handler)


class _Verdicts:
    """When each execution was first seen with a verdict in a status, in seconds since the epoch."""

    def __init__(self, kube: KubeClient) -> None:
        self.seen: dict[str, float] = {}
        self.run = Reflector(kube, Source(EXPERIMENT), self._observe).run

    def _observe(self, change: Change) -> None:
        last = (change.new or {}).get("status", {}).get("lastExecution") or {}
        if last.get("verdict"):
            self.seen.setdefault(last["executionId"], time.time())


async def main(many: int, per_minute: int) -> list[tuple[str, str]]:
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await cluster.install(ROOT / "crds")
        await cluster.kubectl("create", "namespace", NAMESPACE)
        await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(ROOT / "deploy" / "testkube"))
        agent: Object = {"apiVersion": AGENT.api_version, "kind": AGENT.kind, "spec": {}}
        await kube.create(AGENT, {**agent, "metadata": {"name": "weather", "namespace": NAMESPACE}})
        async with _Testkube(kube, NAMESPACE, pace=_PACE_SECONDS) as testkube:
            os.environ["TESTKUBE_API_URL"] = testkube.url
            with process(cluster, "watcher") as watcher, process(cluster, "worker") as worker:
                servers = servers_of(str(cluster.kubeconfig.parent), f"--port={cluster.temporal_address.split(':')[1]}")
                pids = {"watcher": watcher.pid, "worker": worker.pid, **servers}
                names = [f"e-{number}" for number in range(many)]
                ready, verdicts = ReadyWatch(kube), _Verdicts(kube)
                async with asyncio.TaskGroup() as tasks:
                    following = [tasks.create_task(each.run()) for each in (ready, verdicts)]
                    await at_once(kube.create(EXPERIMENT, experiment(name)) for name in names)
                    await ready.until(names, 1)
                    await asyncio.sleep(5)
                    rows = await _measure(cluster, testkube, verdicts, pids, names, every=60 / per_minute)
                    for task in following:
                        task.cancel()
                return rows


async def _measure(
    cluster: LocalCluster,
    testkube: _Testkube,
    verdicts: _Verdicts,
    pids: dict[str, int],
    names: list[str],
    *,
    every: float,
) -> list[tuple[str, str]]:
    load = asyncio.create_task(_load(testkube, names, every))
    await asyncio.sleep(_WARM_UP_SECONDS)
    cpu: dict[str, float] = {}
    calls, asked, ended = await calls_of(cluster), testkube.asked, len(verdicts.seen)
    async with measured_cpu(pids, cpu):
        await asyncio.sleep(_SECONDS)
    calls, asked, ended = await calls_of(cluster) - calls, testkube.asked - asked, len(verdicts.seen) - ended
    load.cancel()
    with suppress(asyncio.CancelledError):
        await load
    lags = [verdicts.seen[each["id"]] - _end(each) for each in testkube.executions if each["id"] in verdicts.seen]
    temporal = await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)
    runs = temporal.list_workflows(f"WorkflowId STARTS_WITH '{followed_prefix(NAMESPACE)}' AND CloseTime IS NOT NULL")
    events = [run.history_length async for run in runs]
    parts = ", ".join(f"{name} {used / ended * 1000:.1f}" for name, used in cpu.items())
    return [
        ("Experiments", str(len(names))),
        ("executions that began, and had their verdict, in a minute", f"{60 / every:.0f}, {ended}"),
        ("CPU per execution", f"{sum(cpu.values()) / ended * 1000:.1f} ms ({parts})"),
        ("… of that, the service's own share of one core", f"{(cpu['watcher'] + cpu['worker']) / _SECONDS:.0%}"),
        ("calls to the API server per execution, less Testkube's three Events", f"{calls / ended - 3:.2f}"),
        ("calls to Testkube per execution", f"{asked / ended:.2f}"),
        ("events of Temporal per execution", f"{statistics.mean(events):.1f}"),
        ("from Testkube's end to the verdict in the status, p50 / p95", _quantiles(lags)),
        ("what they came to", _counted(testkube.executions)),
    ]


async def _load(testkube: _Testkube, names: list[str], every: float) -> None:
    """Begin one execution after another, each at its time whatever became of those before."""
    started = time.monotonic()
    number = 0
    while True:
        await asyncio.sleep(max(0.0, started + number * every - time.monotonic()))
        workflow: Any = testkube.find_workflow(f"{names[number % len(names)]}-workflow")
        testkube.begin(workflow)
        number += 1


def _end(execution: Json) -> float:
    return datetime.fromisoformat(execution["result"]["finishedAt"][:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()


def _counted(executions: list[Json]) -> str:
    counts = Counter(str(each["result"]["status"]) for each in executions)
    return ", ".join(f"{number} {status}" for status, number in counts.items())


def _quantiles(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} / {statistics.quantiles(seconds, n=20)[-1]:.2f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.executions", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000, help="how many there are (default: 1000)")
    parser.add_argument("--per-minute", type=int, default=1000, help="executions of all of them (default: 1000)")
    chosen = parser.parse_args()
    rows = uvloop.run(main(chosen.experiments, chosen.per_minute))
    print("\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]))
