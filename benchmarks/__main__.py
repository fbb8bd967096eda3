"""`make bench`: what Experiments cost, and how many a second, beside a Go operator on this machine.

Starts a local cluster with Temporal's in-memory dev server, and measures from outside, each contender for itself: the
Go peer, watcher and worker, and `all` (see `contenders`); then, of watcher and worker, one Experiment at a time beside
the floor (see `load.Floor`). Figures go to .local/bench.json, tables to standard output. Reads /proc, so Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any

import uvloop
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from benchmarks.contenders import BOTH, PEER, Course, Figures, build_peer, contenders, quantiles
from benchmarks.load import NAMESPACE, Floor, ReadyWatch
from benchmarks.processes import ROOT
from kube.client import KubeClient
from localcluster import LocalCluster


async def main(singles: int, many: int, *, rounds: int, curve: bool) -> Figures:
    chosen = contenders(build_peer())
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await cluster.install(ROOT / "crds")
        await cluster.kubectl("create", "namespace", NAMESPACE)
        await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(ROOT / "deploy" / "testkube"))
        ready = ReadyWatch(kube)
        course = Course(cluster, kube, ready)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(ready.run())
            measured = [
                {each.name: await course.measure(each, steady=singles, many=many, curve=curve) for each in chosen}
                for _ in range(rounds)
            ]
            with next(each for each in chosen if each.name == BOTH).running(cluster):
                alone = await _one_at_a_time(cluster, Floor(kube), course, singles)
            following.cancel()
        count = {"single": singles, "burst": many, "rounds": rounds}
        return {"count": count, "contenders": _medians(measured), "one_at_a_time": alone}


def _medians(rounds: list[Any]) -> Any:
    """Each figure's middle one of all rounds."""
    if isinstance(rounds[0], dict):
        return {key: _medians([each[key] for each in rounds]) for key in rounds[0]}
    if isinstance(rounds[0], list):
        return [_medians(list(each)) for each in zip(*rounds, strict=True)]
    return statistics.median(rounds)


async def _one_at_a_time(cluster: LocalCluster, floor: Floor, course: Course, singles: int) -> Figures:
    async def become_ready(name: str) -> None:
        await course.create(name)
        await course.ready.until([name], 1)

    for number in range(20):  # the first runs load code and fill connection pools
        await become_ready(f"first-{number}")
    await floor.prepare()
    floor_ms = [await _milliseconds(floor.once(str(number))) for number in range(singles)]
    single_ms = [await _milliseconds(become_ready(f"single-{number}")) for number in range(singles)]
    await asyncio.sleep(1)  # until the last run is closed
    return {
        "floor": quantiles(floor_ms),
        "experiment": quantiles(single_ms),
        "events_per_run": await _events_per_run(cluster),
    }


async def _milliseconds(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


async def _events_per_run(cluster: LocalCluster) -> float:
    temporal = await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)
    runs = temporal.list_workflows(f"WorkflowId STARTS_WITH 'experiment/{NAMESPACE}/single-'")
    return statistics.mean([run.history_length async for run in runs])


def _side_by_side(measured: dict[str, Figures], many: int) -> Iterator[tuple[str, ...]]:
    """What each contender made of the loads; in brackets its multiple of the peer's, which is the first."""
    figures = list(measured.values())

    def row(title: str, form: str, values: Iterable[float]) -> tuple[str, ...]:
        found = list(values)
        return title, *(form.format(each) + (f" ({each / found[0]:.2f})" if PEER in measured else "") for each in found)

    yield "", *measured
    yield tuple("---" for _ in range(len(measured) + 1))
    for what in ("p50", "p95"):
        values = (each["steady"][f"{what}_ms"] for each in figures)
        yield row(f"about 16 new a second by one writer, {what}", "{:.0f} ms", values)
    for load, what in (("create", "created"), ("update", "updated")):
        values = (each[load]["per_second"] for each in figures)
        yield row(f"{many} {what} by 16 writers, a second", "{:.1f}", values)
    for load, what in (("create", "creation"), ("update", "update")):
        yield row(f"CPU per {what}", "{:.0f} ms", (sum(each[load]["cpu_ms"].values()) for each in figures))
        yield "… its own processes", *(_parts(each, load, own=True) for each in figures)
        yield "… API server, etcd, Temporal", *(_parts(each, load, own=False) for each in figures)
        yield row(f"API calls per {what}", "{:.1f}", (each[load]["calls"] for each in figures))
    yield row(f"memory with {many}", "{:.0f} MB", (sum(each["memory_mb"].values()) for each in figures))


def _parts(figures: Figures, load: str, *, own: bool) -> str:
    used = figures[load]["cpu_ms"]
    return " + ".join(f"{each:.0f}" for name, each in used.items() if (name in figures["memory_mb"]) == own) + " ms"


def _alone(figures: Figures) -> Iterator[tuple[str, str]]:
    floor, one = figures["floor"], figures["experiment"]
    yield f"{BOTH}, one Experiment at a time", ""
    yield "---", "---"
    yield "floor: three applies and a status write, p50 / p95", f"{floor['p50_ms']:.1f} / {floor['p95_ms']:.1f} ms"
    yield "one Experiment to Ready, p50 / p95", f"{one['p50_ms']:.1f} / {one['p95_ms']:.1f} ms"
    multiples = f"{one['p50_ms'] / floor['p50_ms']:.1f} / {one['p95_ms'] / floor['p95_ms']:.1f}"
    yield "… as a multiple of the floor", multiples
    yield "Temporal events per new Experiment", f"{figures['events_per_run']:.1f}"


def _print(rows: Iterable[Iterable[str]]) -> None:
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--singles", type=int, default=100, help="Experiments written by one writer (default: 100)")
    parser.add_argument("--burst", type=int, default=300, help="Experiments created at once (default: 300)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each contender is measured (default: 1)")
    parser.add_argument("--plot", action="store_true", help="measure over offered load, too, for .local/bench.png")
    chosen = parser.parse_args()
    if chosen.plot:
        from benchmarks.plot import draw  # before minutes of measuring: it wants a package that nothing else does
    local = ROOT / ".local"
    local.mkdir(exist_ok=True)
    found = uvloop.run(main(chosen.singles, chosen.burst, rounds=chosen.rounds, curve=chosen.plot))
    (local / "bench.json").write_text(json.dumps(found, indent=2) + "\n")
    if chosen.plot:
        draw({name: figures["curve"] for name, figures in found["contenders"].items()}, local / "bench.png")
    _print(_side_by_side(found["contenders"], chosen.burst))
    print()
    _print(_alone(found["one_at_a_time"]))
