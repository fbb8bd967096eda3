"""`python -m benchmarks.live`: what 500 readers of server-sent events cost the api, and how late they hear of changes.

A local cluster with 1,000 Experiments, the api as a process of its own, and all readers in another (`readers`). In each
round every Experiment changes once. Delays are from before the write to after the read: the write itself is in them,
also in those of a plain watch of the API server in the same round, which is what they are compared with. Reads /proc,
so Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop

from benchmarks.load import NAMESPACE, experiment, ref
from benchmarks.processes import cpu_seconds, rss_megabytes
from benchmarks.readers import STAMP
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from localcluster import LocalCluster

_ROOT = Path(__file__).parents[1]
_CONNECTIONS = 16
_PER_SECOND = 40
_AT_ONCE = 1_000_000
# 1,000 of these are more than the kernel takes for somebody who does not read.
_LONG = "x" * 8192
_READY = {"type": "Ready", "status": "True", "reason": "Reconciled", "lastTransitionTime": "2026-11-23T10:00:00Z"}


async def main(readers: int, experiments: int) -> dict[str, Any]:
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await cluster.install(_ROOT / "crds")
        await cluster.kubectl("create", "namespace", NAMESPACE)
        names = [f"live-{number}" for number in range(experiments)]
        await _each(names, lambda name: kube.create(EXPERIMENT, experiment(name)))
        await _each(names, lambda name: _change(kube, name))
        environ = {**os.environ, **cluster.env(), "LOG_LEVEL": "warning", "METRICS_PORT": "0", "API_AUTH": "none"}
        async with _api(environ) as (pid, url):
            figures: dict[str, Any] = {"idle_mb": rss_megabytes(pid)}
            for what, (reading, stalled), rate, text in (
                ("1 reader", (1, 0), _PER_SECOND, ""),
                (f"{readers} readers", (readers, 0), _PER_SECOND, ""),
                (f"{readers} readers, all changes at once", (readers, 0), _AT_ONCE, ""),
                (f"1 reader and {readers // 5} that never read", (1, readers // 5), _PER_SECOND, _LONG),
            ):
                async with _reading(environ, url, reading, stalled, experiments) as process:
                    figures[what] = await _round(kube, names, pid, process, rate=rate, text=text)
            await asyncio.sleep(2)
            return {**figures, "all_gone_mb": rss_megabytes(pid)}


async def _round(
    kube: KubeClient, names: list[str], pid: int, readers: Process, *, rate: int, text: str
) -> dict[str, Any]:
    await _said(readers, "reading")
    before, cpu, started = rss_megabytes(pid), cpu_seconds(pid), time.monotonic()
    await _each(names, lambda name: _change(kube, name, text), rate)
    await _said(readers, "heard")
    seconds, cpu, after = time.monotonic() - started, cpu_seconds(pid) - cpu, rss_megabytes(pid)
    delays, _ = await readers.communicate(b"\n")
    return {
        **json.loads(delays),
        "seconds": seconds,
        "cpu_share": cpu / seconds,
        "mb": {"before": before, "after": after},
    }


async def _change(kube: KubeClient, name: str, text: str = "") -> None:
    condition = {**_READY, "message": f"{STAMP.format(time.monotonic_ns())} {text}"}
    await kube.merge_patch(ref(name), {"status": {"conditions": [condition]}}, subresource="status")


async def _each(names: list[str], call: Callable[[str], Awaitable[Any]], rate: int = _AT_ONCE) -> None:
    """So many a second, or as fast as it goes."""
    gate = asyncio.Semaphore(_CONNECTIONS)

    async def one(name: str) -> None:
        async with gate:
            await call(name)

    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(one(name))
            await asyncio.sleep(1 / rate)


@asynccontextmanager
async def _api(environ: dict[str, str]) -> AsyncIterator[tuple[int, str]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "experiment_operator", "api"), env={**environ, "API_PORT": str(port)}, cwd=_ROOT
    )
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(base_url=url, trust_env=False) as http:
            while not await _is_ready(http):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        yield process.pid, url
    finally:
        process.terminate()
        await process.wait()


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.ConnectError:
        return False


@asynccontextmanager
async def _reading(environ: dict[str, str], url: str, *numbers: int) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "benchmarks.readers", url, *map(str, numbers)]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environ, cwd=_ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _said(process: Process, word: str) -> None:
    assert process.stdout
    async with asyncio.timeout(300):
        line = (await process.stdout.readline()).decode().strip()
    if line != word:
        raise RuntimeError(f"the readers said '{line}' instead of '{word}'")


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield (
        "memory of the api, nobody reads / after all have gone",
        f"{figures['idle_mb']:.0f} / {figures['all_gone_mb']:.0f} MB",
    )
    for what, round_ in figures.items():
        if not isinstance(round_, dict):
            continue
        heard, watch, memory = round_["readers"], round_["watch"], round_["mb"]
        yield f"{what}: delay p50 / p95 / p99", " / ".join(f"{heard[key]:.0f}" for key in ("p50", "p95", "p99")) + " ms"
        yield "… of a watch of the API server", " / ".join(f"{watch[key]:.0f}" for key in ("p50", "p95", "p99")) + " ms"
        yield "… as a multiple of it", " / ".join(f"{heard[key] / watch[key]:.1f}" for key in ("p50", "p95", "p99"))
        yield "… memory of the api before / after", f"{memory['before']:.0f} / {memory['after']:.0f} MB"
        yield (
            "… events delivered, and share of a core",
            (f"{heard['count'] / round_['seconds']:,.0f} per second, {round_['cpu_share']:.0%}"),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--readers", type=int, default=500, help="readers at once (default: 500)")
    parser.add_argument("--experiments", type=int, default=1000, help="Experiments that change (default: 1000)")
    chosen = parser.parse_args()
    found = uvloop.run(main(chosen.readers, chosen.experiments))
    target = _ROOT / ".local" / "bench-live.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in _rows(found))]))
