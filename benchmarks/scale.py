"""`python -m benchmarks.scale`: what ten thousand Experiments that need nothing cost those that do, and a restart.

Starts a local cluster, watcher and worker as processes of their own, and settles more and more Experiments, all of one
Agent. On the way it measures the CPU that a new one costs in each process (creations at once, in rounds), the watcher's
memory, as it has grown and after a restart, and how long the watcher, and all roles in one process, take from their
start until they are ready, and until they have looked at every Experiment: no run may begin of it. Takes half an hour,
most of it to settle them; reads /proc, so Linux only. Figures go to .local/bench-scale.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import uvloop
from temporalio.client import Client

from benchmarks.load import NAMESPACE, at_once
from benchmarks.processes import ROOT, cpu_seconds, measured_cpu, rss_megabytes, servers_of
from benchmarks.settled import Seen, create, fill, install, say
from experiments.contract import WORKFLOW_TYPE
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from kube.objects import ObjectRef
from localcluster import LocalCluster
from localcluster.processes import free_port

_POLL_SECONDS = 0.05
_QUIET_SECONDS = 3.0
_WARM_UP = 20  # new processes load code and fill connection pools
_START_LIMIT_SECONDS = 300.0


class Role:
    """A process of the service, and what its own port says of it. Times count from its start."""

    def __init__(self, cluster: LocalCluster, name: str) -> None:
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        settings = {"LOG_LEVEL": "warning", "METRICS_PORT": str(port), "API_PORT": "0"}
        command = [sys.executable, "-m", "experiment_operator", name]
        self._started = time.perf_counter()
        self._process = subprocess.Popen(command, env={**os.environ, **cluster.env(), **settings}, cwd=ROOT)
        self.pid = self._process.pid

    async def stop(self) -> None:
        self._process.terminate()
        await asyncio.to_thread(self._process.wait)

    async def ready(self) -> float:
        """Return the seconds until it says that it is ready."""
        async with asyncio.timeout(_START_LIMIT_SECONDS):
            while not await self._is_ready():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(_POLL_SECONDS)
        return self._seconds()

    async def quiet(self) -> float:
        """Return the seconds until no Experiment waits to be looked at, by a gauge that is renewed once a second."""
        since: float | None = None
        async with asyncio.timeout(_START_LIMIT_SECONDS):
            while since is None or self._seconds() - since < _QUIET_SECONDS:
                waiting = await self.metric("experiment_operator_queue_depth")
                since = None if waiting else since or self._seconds()
                await asyncio.sleep(_POLL_SECONDS)
        return since

    async def metric(self, name: str) -> float:
        """Add up a metric over its labels."""
        lines = (line for line in (await self._get("/metrics")).splitlines() if re.match(rf"{name}[{{ ]", line))
        return sum(float(line.split()[-1]) for line in lines)

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError):
            await self._get("/readyz")
            return True
        return False

    async def _get(self, path: str) -> str:
        async with (
            aiohttp.ClientSession(self._url, raise_for_status=True, trust_env=False) as http,
            http.get(path) as answer,
        ):
            return await answer.text()

    def _seconds(self) -> float:
        return time.perf_counter() - self._started


class Scale:
    """A cluster in which there are more and more Experiments."""

    def __init__(self, cluster: LocalCluster, kube: KubeClient, seen: Seen, temporal: Client) -> None:
        self._cluster, self._kube, self._seen, self._temporal = cluster, kube, seen, temporal
        self._count = 0
        self._roles: dict[str, Role] = {}

    async def start(self, *names: str) -> None:
        self._roles = {name: Role(self._cluster, name) for name in names}
        for role in self._roles.values():
            await role.ready()

    async def stop(self) -> None:
        for role in self._roles.values():
            await role.stop()
        self._roles = {}

    async def settle(self, count: int) -> None:
        """See that there are so many in all, unless there are more."""
        await fill(self._kube, self._seen, self._more(count - self._count))

    async def creations(self, many: int, rounds: int) -> dict[str, list[float]]:
        """Measure the CPU that one more costs each process, in milliseconds, once a round."""
        await fill(self._kube, self._seen, self._more(_WARM_UP))
        taken = [await self._creations(many) for _ in range(rounds)]
        return {name: [each[name] for each in taken] for name in taken[0]}

    async def _creations(self, many: int) -> dict[str, float]:
        refs, cpu = self._more(many), dict[str, float]()
        port = self._cluster.temporal_address.split(":")[1]
        servers = servers_of(str(self._cluster.kubeconfig.parent), f"--port={port}")
        async with measured_cpu({**{name: role.pid for name, role in self._roles.items()}, **servers}, cpu):
            await at_once(create(self._kube, ref) for ref in refs)
            if not await self._seen.until((ref, 1) for ref in refs):
                raise TimeoutError(f"{many} Experiments were not Ready within five minutes")
            await asyncio.sleep(2)  # what comes after Ready belongs to the cost
        return {name: seconds / many * 1000 for name, seconds in cpu.items()}

    async def restarts(self) -> dict[str, Any]:
        """Measure how the watcher begins anew, and all roles in one process. Goes on with new processes."""
        await asyncio.sleep(_QUIET_SECONDS)
        grown = rss_megabytes(self._roles["watcher"].pid)
        await self.stop()
        found = {name: await self._restart(name) for name in ("watcher", "all")}
        await self.start("watcher", "worker")
        return {"grown_mb": grown, **found}

    async def _restart(self, name: str) -> dict[str, float]:
        runs = await self._runs()
        role = self._roles[name] = Role(self._cluster, name)
        found = {"ready_seconds": await role.ready(), "quiet_seconds": await role.quiet()}
        found |= {"cpu_seconds": cpu_seconds(role.pid), "mb": rss_megabytes(role.pid)}
        found |= {"starts": await role.metric("experiment_operator_starts_total")}
        await self.stop()
        return {**found, "runs": await self._runs() - runs}

    async def _runs(self) -> int:
        return (await self._temporal.count_workflows(f"WorkflowType = '{WORKFLOW_TYPE}'")).count

    def _more(self, many: int) -> list[ObjectRef]:
        numbers = range(self._count, self._count + max(0, many))
        self._count = numbers.stop
        return [ObjectRef(EXPERIMENT, NAMESPACE, f"e-{number}") for number in numbers]


async def main(creations_at: list[int], restarts_at: list[int], many: int, rounds: int) -> dict[str, Any]:
    figures: dict[str, Any] = {"creations": {}, "restarts": {}, "load_before_and_after": [os.getloadavg()[0]]}
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await install(cluster, kube)
        seen, temporal = Seen(kube), await Client.connect(cluster.temporal_address)
        scale = Scale(cluster, kube, seen, temporal)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(seen.run())
            try:
                await scale.start("watcher", "worker")
                for count in sorted({*creations_at, *restarts_at}):
                    await scale.settle(count)
                    if count in restarts_at:
                        figures["restarts"][count] = await scale.restarts()
                        say(f"restarts with {count:,}: {figures['restarts'][count]}")
                    if count in creations_at:
                        figures["creations"][count] = await scale.creations(many, rounds)
                        say(f"creations beside {count:,}: {figures['creations'][count]}")
            finally:
                await scale.stop()
            watching.cancel()
    figures["load_before_and_after"].append(os.getloadavg()[0])
    return figures


def _table(figures: dict[str, Any]) -> Iterator[str]:
    (few, first), *_, (most, last) = figures["creations"].items()
    yield f"| CPU per creation, beside so many settled | {few:,} | {most:,} | ratio |\n|---|---|---|---|"
    for name in first:
        yield _compared(name, first[name], last[name])
    yield _compared("all processes", *([*map(sum, zip(*each.values(), strict=True))] for each in (first, last)))
    counts = [*figures["restarts"]]
    yield f"\n| figure | {' | '.join(f'{count:,} settled' for count in counts)} |\n|---|{'---|' * len(counts)}"
    found = figures["restarts"].values()
    for name in ("watcher", "all"):
        of = [each[name] for each in found]
        yield _row(f"`{name}` begins anew: ready after", (f"{each['ready_seconds']:.1f} s" for each in of))
        yield _row("… has looked at all of them after", (f"{each['quiet_seconds']:.1f} s" for each in of))
        yield _row("… CPU by then", (f"{each['cpu_seconds']:.1f} s" for each in of))
        yield _row("… runs that were begun, or asked for", (f"{each['runs']}, {each['starts']:.0f}" for each in of))
        yield _row("… memory then", (f"{each['mb']:.0f} MB" for each in of))
    yield _row("memory of the watcher that saw them come", (f"{each['grown_mb']:.0f} MB" for each in found))
    if len(counts) > 1:
        before, after, more = figures["restarts"][counts[0]], figures["restarts"][counts[-1]], counts[-1] - counts[0]
        rise = {name: after[name]["mb"] - before[name]["mb"] for name in ("watcher", "all")}
        rise["grown"] = after["grown_mb"] - before["watcher"]["mb"]
        each = {name: f"{megabytes / more * 1024:.1f} kB" for name, megabytes in rise.items()}
        yield f"\nEach settled one between these takes {each['watcher']} of a watcher that has listed it,"
        yield f"{each['grown']} of one that has seen it come, and {each['all']} of `all` that has listed it."
    before, after = figures["load_before_and_after"]
    yield f"\nThe machine's load was {before:.1f} before and {after:.1f} at the end."


def _compared(name: str, first: Sequence[float], last: Sequence[float]) -> str:
    before, after = statistics.median(first), statistics.median(last)
    parts = " | ".join(
        f"{statistics.median(each):.1f} ms ({min(each):.1f} to {max(each):.1f})" for each in (first, last)
    )
    return f"| {name} | {parts} | {after / before:.2f} |"


def _row(name: str, values: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    numbers: dict[str, Any] = {"type": int, "nargs": "+", "metavar": "N"}
    parser.add_argument("--creations-at", **numbers, default=[100, 10_000], help="settled ones (default: 100 10000)")
    parser.add_argument("--restarts-at", **numbers, default=[1000, 5000], help="settled ones (default: 1000 5000)")
    parser.add_argument("--creations", type=int, default=150, help="new ones at once (default: 150)")
    parser.add_argument("--rounds", type=int, default=3, help="of creations, for their median (default: 3)")
    chosen = parser.parse_args()
    found = uvloop.run(main(chosen.creations_at, chosen.restarts_at, chosen.creations, chosen.rounds))
    target = ROOT / ".local" / "bench-scale.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(_table(found)))
