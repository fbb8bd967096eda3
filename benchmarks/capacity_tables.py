"""The tables of docs/capacity.md, from what `capacity` has measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PROCESSES = ("watcher", "workers", "Temporal", "PostgreSQL", "API server", "etcd")
# For a creation's worth on each of them, times the rate that is asked for.
RATE = 1000
_CORE_IN_USE = 0.7  # of each core: nobody lets them run without a rest
_HISTORY_SHARDS = 512
_PARTITIONS = 4  # of a task queue, unless Temporal is told otherwise
_ETCD_BYTES = 8 * 1024**3  # what etcd is advised to hold at most


@dataclass(frozen=True)
class Stage:
    """What a number of workers came to; `each` is per creation, `idle` a second of nothing to do."""

    workers: int
    per_second: float
    cores: float
    worker_megabytes: float
    each: dict[str, float]
    idle: dict[str, float]


def by_workers(stages: list[Stage], events: float) -> Iterator[str]:
    """What creations cost whom; `events` are those of a run in Temporal."""
    yield from _head("", *map(_workers, stages), "a second of nothing to do")
    yield _row("**created at once, a second**", *(f"**{stage.per_second:.1f}**" for stage in stages), "")
    yield _row("cores in use meanwhile", *(f"{stage.cores:.1f}" for stage in stages), "")
    yield _row("**CPU per creation**", *(f"**{_cpu(stage) * 1000:.0f} ms**" for stage in stages), "")
    for name in PROCESSES:
        yield _each(f"… {name}", name, _milliseconds, stages)
    yield _each("beside it: the benchmark, as client and watch", "benchmark", _milliseconds, stages)
    yield _each("calls to the API server", "calls", _count, stages)
    yield _each("writes to etcd", "etcd writes", _count, stages)
    yield _row("events in the history of a run", *(_count(events) for _ in stages), "")
    yield _each("writes to history shards", "shard writes", _count, stages)
    yield _each("PostgreSQL: transactions", "transactions", _count, stages)
    yield _each("… rows written", "rows", _count, stages)
    yield _each("… log (WAL)", "WAL bytes", _kilobytes, stages)
    yield _each("… syncs of the log", "WAL syncs", _count, stages)
    yield _each("… growth of the databases", "database bytes", _kilobytes, stages)
    yield _row("memory of one worker", *(f"{stage.worker_megabytes:.0f} MB" for stage in stages), "")


def growth(stages: list[Stage]) -> Iterator[str]:
    yield from _head("", *map(_workers, stages))
    yield _row("**created at once, a second**", *(f"**{stage.per_second:.1f}**" for stage in stages))
    yield _row("… times that of one worker", *(f"{stage.per_second / stages[0].per_second:.2f}" for stage in stages))
    yield _row("cores in use meanwhile", *(f"{stage.cores:.1f}" for stage in stages))
    yield _row("CPU per creation", *(f"{_cpu(stage) * 1000:.0f} ms" for stage in stages))


def at_rate(stage: Stage, sizes: dict[str, float]) -> Iterator[str]:
    """What `RATE` a second come to."""
    each = stage.each
    yield from _head("", "one creation, measured", f"{RATE:,} a second, estimated", "what follows")
    for name in PROCESSES:
        cores = f"{each[name] * RATE:.0f} cores"
        yield _row(name, f"{each[name] * 1000:.1f} ms of CPU", cores, _processes(name, each))
    yield _row("calls to the API server", f"{each['calls']:.1f} and that which creates", _rate(each["calls"] + 1), "")
    yield _row("writes to etcd", _count(each["etcd writes"]), _rate(each["etcd writes"]), "")
    stored, full = sizes["stored bytes"], _ETCD_BYTES / sizes["stored bytes"]
    last = f"8 GiB hold {full:,.0f}: those of {full / RATE / 60:.0f} minutes"
    yield _row("Experiment and children in etcd, as JSON", _kilobytes(stored), _bytes(stored), last)
    event = sizes["Event bytes"]
    hour = f"{event * RATE * 3600 / 1e9:.1f} GB"
    yield _row("its Event, for an hour", _kilobytes(event), _bytes(event), hour)
    yield _row("events of Temporal", _count(sizes["Temporal events"]), _rate(sizes["Temporal events"]), "")
    writes, took = each["shard writes"], each["shard seconds"] / each["shard writes"]
    shard = writes * RATE / _HISTORY_SHARDS
    last = f"{_HISTORY_SHARDS} shards: {shard:.0f} a second on each, locked {shard * took:.0%} of the time"
    yield _row("writes to history shards", f"{writes:.1f}, each {took * 1000:.1f} ms", _rate(writes), last)
    last = f"{_PARTITIONS} partitions: {RATE / _PARTITIONS:.0f} a second on each"
    yield _row("workflow tasks through the task queue", "1, counted in histories", _rate(1), last)
    yield _row("PostgreSQL: transactions", _count(each["transactions"]), _rate(each["transactions"]), "")
    yield _row("… rows written", _count(each["rows"]), _rate(each["rows"]), "")
    last = "fewer in truth: commits that wait together share one"
    yield _row("… syncs of the log", _count(each["WAL syncs"]), f"at most {_rate(each['WAL syncs'])}", last)
    yield _row("… log (WAL)", _kilobytes(each["WAL bytes"]), _bytes(each["WAL bytes"]), "")
    day = each["database bytes"] * RATE * 86400 / 1e12
    last = f"{day:.1f} TB for each day of retention"
    yield _row("… databases grow by", _kilobytes(each["database bytes"]), _bytes(each["database bytes"]), last)


def _processes(name: str, each: dict[str, float]) -> str:
    if name == "watcher":
        return f"one leads, and is one process on one core: **at most {1 / each[name]:.0f} a second**"
    if name == "workers":
        return f"{math.ceil(each[name] * RATE / _CORE_IN_USE)} processes, each on {_CORE_IN_USE:.0%} of a core"
    return f"{math.ceil(each[name] * RATE / _CORE_IN_USE)} cores of which {_CORE_IN_USE:.0%} are in use"


def _cpu(stage: Stage) -> float:
    return sum(stage.each[name] for name in PROCESSES)


def _workers(stage: Stage) -> str:
    return "1 worker" if stage.workers == 1 else f"{stage.workers} workers"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _kilobytes(number: float) -> str:
    return f"{number / 1000:.1f} kB"


def _count(number: float) -> str:
    return f"{number:.1f}"


def _rate(each: float) -> str:
    return f"{each * RATE:,.0f} a second"


def _bytes(each: float) -> str:
    return f"{each * RATE / 1e6:.1f} MB a second"


def _each(label: str, name: str, text: Callable[[float], str], stages: list[Stage]) -> str:
    idle = statistics.mean(stage.idle[name] for stage in stages)
    return _row(label, *(text(stage.each[name]) for stage in stages), text(idle))


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|---" * len(cells) + "|"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
