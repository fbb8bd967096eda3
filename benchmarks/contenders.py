"""Who is measured, and the loads that each of them is put under, one after the other on one cluster.

The Go peer (`peer/`) does what the service does, as an operator on controller-runtime does it. Machines differ; what
this one is worth is seen from what the peer makes of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.load import NAMESPACE, ReadyWatch, Sent, experiment, ref, write, write_at_rate
from benchmarks.processes import ROOT, calls_of, measured_cpu, program, rss_megabytes, servers_of
from experiments.resources import EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Object
from localcluster import LocalCluster

Figures: TypeAlias = dict[str, Any]

PEER, BOTH = "Go, 1 worker", "watcher + worker"
_WRITERS = 16
_PAUSE_SECONDS = 0.05
_RATES = (4, 8, 12, 16, 24, 32, 48)
_RATE_SECONDS = 5
_AFTERMATH_SECONDS = 2  # what comes after Ready (Events, closing the run) belongs to the cost


@dataclass(frozen=True)
class Contender:
    """`programs` are its processes by what they are called; `servers` are those that work for it."""

    name: str
    programs: dict[str, tuple[str | Path, ...]]
    servers: tuple[str, ...]

    @contextmanager
    def running(self, cluster: LocalCluster) -> Iterator[dict[str, int]]:
        """Yield the processes that count: its own and its servers."""
        servers = servers_of(str(cluster.kubeconfig.parent), f"--port={cluster.temporal_address.split(':')[1]}")
        with ExitStack() as stack:
            own = {name: stack.enter_context(program(cluster, *command)).pid for name, command in self.programs.items()}
            yield own | {name: servers[name] for name in self.servers}


def contenders(peer: Path | None) -> list[Contender]:
    """The peer, which is the measure of the others, comes first where it could be built."""
    service = (sys.executable, "-m", "experiment_operator")
    needed, temporal = ("API server", "etcd"), "Temporal"
    ours = [
        Contender(BOTH, {role: (*service, role) for role in ("watcher", "worker")}, (*needed, temporal)),
        Contender("all", {"all": (*service, "all")}, (*needed, temporal)),
    ]
    if not peer:
        return ours
    theirs = {PEER: "1", "Go, 16 workers": "16"}
    quiet = "-zap-log-level=error"
    return [
        Contender(name, {"operator": (peer, quiet, "-workers", many)}, needed) for name, many in theirs.items()
    ] + ours


def build_peer() -> Path | None:
    """Build the Go peer; says why where that cannot be."""
    go = shutil.which("go")
    if not go:
        _say("Go is missing, which the peer is built with: it is not measured, and there are no ratios.")
        return None
    _say("Building the Go peer (the first time it fetches modules and takes minutes) ...")
    binary = ROOT / ".local" / "peer"
    built = subprocess.run(
        (go, "build", "-buildvcs=false", "-o", binary, "."),
        cwd=ROOT / "benchmarks" / "peer",
        env={**os.environ, "GOWORK": "off"},
        check=False,
    )
    if built.returncode:
        _say("The Go peer cannot be built, Go says why above: it is not measured, and there are no ratios.")
        return None
    return binary


class Course:
    """The loads. Each begins without Experiments and without what was generated for those before."""

    def __init__(self, cluster: LocalCluster, kube: KubeClient, ready: ReadyWatch) -> None:
        self._cluster = cluster
        self._kube = kube
        self.ready = ready

    async def measure(self, contender: Contender, *, steady: int, many: int, curve: bool) -> Figures:
        """Run the contender, and measure it."""
        _say(f"Measuring {contender.name} ...")
        with contender.running(self._cluster) as pids:
            await self._warm_up()
            names = [f"steady-{number}" for number in range(steady)]
            writing = write(names, self.create, writers=1, pause=_PAUSE_SECONDS)
            figures: Figures = {"steady": await self._load(pids, names, 1, writing)}
            await self.clear()
            names = [f"burst-{number}" for number in range(many)]
            figures["create"] = await self._load(pids, names, 1, write(names, self.create, writers=_WRITERS))
            figures["update"] = await self._load(pids, names, 2, write(names, self.update, writers=_WRITERS))
            figures["memory_mb"] = {name: rss_megabytes(pids[name]) for name in contender.programs}
            await self.clear()
            if curve:
                figures["curve"] = [await self._at_rate(rate) for rate in _RATES]
                await self.clear()
            return figures

    async def _warm_up(self) -> None:
        """The first runs load code and fill connection pools."""
        names = [f"warm-{number}" for number in range(20)]
        await write(names, self.create, writers=1, pause=_PAUSE_SECONDS)
        await self.ready.until(names, 1)
        await self.clear()

    async def create(self, name: str) -> Object:
        return await self._kube.create(EXPERIMENT, experiment(name))

    async def update(self, name: str) -> Object:
        return await self._kube.merge_patch(ref(name), {"spec": {"llmAsAJudgeModel": "another"}})

    async def clear(self) -> None:
        """Delete the Experiments, and wait until their children are gone."""
        uids = {
            obj["metadata"]["name"]: obj["metadata"]["uid"]
            for obj in await self._kube.list(EXPERIMENT, namespace=NAMESPACE)
        }
        await write(uids, lambda name: self._kube.delete(ref(name), uid=uids[name]), writers=_WRITERS)
        async with asyncio.timeout(300):
            left = True
            while left:
                await asyncio.sleep(0.2)
                left = await self._left()
        await asyncio.sleep(_AFTERMATH_SECONDS)

    async def _left(self) -> bool:
        for resource in (EXPERIMENT, TEST_WORKFLOW, TEST_TRIGGER):
            if await self._kube.list(resource, namespace=NAMESPACE):
                return True
        config_maps = await self._kube.list(CONFIG_MAP, namespace=NAMESPACE)
        return any("ownerReferences" in obj["metadata"] for obj in config_maps)

    async def _load(self, pids: dict[str, int], names: list[str], generation: int, writing: Awaitable[Sent]) -> Figures:
        cpu: dict[str, float] = {}
        calls = await calls_of(self._cluster)
        async with measured_cpu(pids, cpu):
            sent = await writing
            await self.ready.until(names, generation)
            await asyncio.sleep(_AFTERMATH_SECONDS)
        calls = await calls_of(self._cluster) - calls
        return {
            **self._speed(sent, generation),
            "cpu_ms": {name: seconds / len(names) * 1000 for name, seconds in cpu.items()},
            "calls": calls / len(names) - 1,  # without the load's own
        }

    async def _at_rate(self, per_second: int) -> Figures:
        names = [f"rate-{per_second}-{number}" for number in range(per_second * _RATE_SECONDS)]
        sent = await write_at_rate(names, self.create, per_second=per_second)
        await self.ready.until(names, 1)
        return {"offered_per_second": per_second, **self._speed(sent, 1)}

    def _speed(self, sent: Sent, generation: int) -> Figures:
        ready = {name: self.ready.at(name, generation) for name in sent}
        took = max(ready.values()) - min(sent.values())
        return {"per_second": len(sent) / took, **quantiles([(ready[name] - at) * 1000 for name, at in sent.items()])}


def quantiles(milliseconds: list[float]) -> dict[str, float]:
    return {"p50_ms": statistics.median(milliseconds), "p95_ms": statistics.quantiles(milliseconds, n=20)[-1]}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
