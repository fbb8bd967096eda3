"""Processes that are measured: the service's own, what each costs from Linux' /proc, and what the API server counts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from localcluster import LocalCluster

ROOT = Path(__file__).parents[1]
# Nothing listens at an address that somebody else may have, and `all` needs no certificate and no tokens.
_ENVIRON = {"LOG_LEVEL": "warning", "METRICS_PORT": "0", "API_PORT": "0", "API_AUTH": "none"}
# What a reconciliation reads or writes; everything else that the API server counts is other people's business.
_COUNTED = ("agents", "aigateways", "configmaps", "events", "experiments", "testtriggers", "testworkflows")
_TICK = os.sysconf("SC_CLK_TCK")
_SERVERS = {"etcd": "etcd", "kube-apiserver": "API server", "temporal": "Temporal", "server": "Temporal"}


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """User and system time so far; `with_ended` that of its children that have ended as well."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICK


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def machine_cpu_seconds() -> float:
    """What all that runs on this machine has used so far."""
    return sum(map(int, Path("/proc/stat").read_text().split()[1:4])) / _TICK


def rss_megabytes(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def servers_of(*marks: str) -> dict[str, int]:
    """The servers with one of `marks` (a directory, a port) in their command line, by what they are."""
    found: dict[str, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program, *arguments = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue  # it has ended meanwhile
        if (name := _SERVERS.get(Path(program).name)) and any(mark in " ".join(arguments) for mark in marks):
            found[name] = int(process.name)
    return found


def process(cluster: LocalCluster, role: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Run watcher, worker, api or all."""
    return program(cluster, sys.executable, "-m", "experiment_operator", role)


@contextmanager
def program(cluster: LocalCluster, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run what finds this cluster in its environment."""
    with subprocess.Popen(command, env={**os.environ, **cluster.env(), **_ENVIRON}, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()


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
