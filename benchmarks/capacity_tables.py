"""The tables of docs/capacity.md, from what `capacity` has measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PROCESSES = ("watcher", "workers", "Temporal", "PostgreSQL", "API server", "etcd")
RATE = 1000
_CORE_IN_USE = 0.7  # nobody plans to use all of each
_HISTORY_SHARDS = 512
_PARTITIONS = 4  # of a task queue, unless Temporal is told otherwise
_ETCD_BYTES = 8 * 1024**3  # what etcd is advised to hold at most


@dataclass(frozen=True)
class Stage:
    """What a number of workers came to; `each` is per creation, `idle` a second of nothing to do."""

    workers: int
    per_second: float
    cores: float
    others: float
    worker_megabytes: float
    each: dict[str, float]
    idle: dict[str, float]


def by_workers(stages: list[Stage], events: float) -> Iterator[str]:
    """What creations cost whom; `events` are those of a run in Temporal."""
    yield from _head("", *map(_workers, stages), "a second of nothing to do")
    yield _row("**created at once, a second**", *(f"**{stage.per_second:.1f}**" for stage in stages), "")
    yield _row("cores in use meanwhile; by others", *(f"{stage.cores:.1f}; {stage.others:.1f}" for stage in stages), "")
    yield _row("**CPU per creation**", *(f"**{_cpu(stage) * 1000:.0f} ms**" for stage in stages), "")
    for name in PROCESSES:
        yield _each(f"… {name}", name, _milliseconds, stages)
    yield _each("beside it: the benchmark, as client and watch", "benchmark", _milliseconds, stages)
    yield _each("API server: calls", "calls", _count, stages)
    yield _each("… writes to etcd", "etcd writes", _count, stages)
    yield _each("Temporal: requests, polls included", "requests", _count, stages)
    yield _each("… requests to add a task to a partition", "tasks", _count, stages)
    yield _row("… events in the history of a run", *(_count(events) for _ in stages), "")
    yield _each("… writes to history shards", "shard writes", _count, stages)
    yield _each("… calls of history to the database, for runs", "persistence", _count, stages)
    yield _each("PostgreSQL: transactions", "transactions", _count, stages)
    yield _each("… rows written", "rows", _count, stages)
    yield _each("… log (WAL)", "WAL bytes", _kilobytes, stages)
    yield _each("… syncs of the log", "WAL syncs", _count, stages)
    yield _row("memory of one worker", *(f"{stage.worker_megabytes:.0f} MB" for stage in stages), "")


def growth(stages: list[Stage]) -> Iterator[str]:
    yield from _head("", *map(_workers, stages))
    yield _row("**created at once, a second**", *(f"**{stage.per_second:.1f}**" for stage in stages))
    yield _row("… times that of one worker", *(f"{stage.per_second / stages[0].per_second:.2f}" for stage in stages))
    yield _row("cores in use meanwhile; by others", *(f"{stage.cores:.1f}; {stage.others:.1f}" for stage in stages))
    yield _row("CPU per creation", *(f"{_cpu(stage) * 1000:.0f} ms" for stage in stages))


def at_rate(stages: list[Stage], unhurried: Stage, sizes: dict[str, float]) -> Iterator[str]:
    """What `RATE` a second come to by the mean of `stages`; `unhurried` had CPU left."""
    each = {name: statistics.mean(stage.each[name] for stage in stages) for name in stages[0].each}
    yield from _head("", "one creation, measured", f"{RATE:,} a second, estimated", "what follows")
    for name in PROCESSES:
        yield _row(name, f"{_milliseconds(each[name])} of CPU", f"{each[name] * RATE:.1f} cores", _cores(name, each))
    calls = each["calls"] + 1
    yield _row("API server: calls, with that which creates", _count(calls), _rate(calls), "")
    yield _row("… writes to etcd", _count(each["etcd writes"]), _rate(each["etcd writes"]), "")
    yield from _stored(each["etcd bytes"], sizes)
    yield _row("Temporal: requests", _count(each["requests"]), _rate(each["requests"]), "")
    tasks = f"{_PARTITIONS} partitions: {each['tasks'] * RATE / _PARTITIONS:.0f} a second on each"
    yield _row("… requests to add a task", _count(each["tasks"]), _rate(each["tasks"]), tasks)
    events = sizes["Temporal events"]
    yield _row("… events", _count(events), _rate(events), "")
    yield _shards(each["shard writes"], unhurried.each["shard seconds"] / unhurried.each["shard writes"])
    yield _row(
        "… calls of history to the database, for runs", _count(each["persistence"]), _rate(each["persistence"]), ""
    )
    yield _row("PostgreSQL: transactions", _count(each["transactions"]), _rate(each["transactions"]), "")
    yield _row("… rows written", _count(each["rows"]), _rate(each["rows"]), "")
    yield _row("… log (WAL)", _kilobytes(each["WAL bytes"]), _bytes(each["WAL bytes"]), "")
    syncs = each["WAL syncs"]
    yield _row(
        "… syncs of the log",
        _count(syncs),
        f"at most {_rate(syncs)}",
        "fewer in truth: commits that wait together share one",
    )
    grown = sizes["database bytes"]
    day = f"{grown * RATE * 86400 / 1e12:.1f} TB for each day of retention"
    yield _row("… a closed run, cleaned up", _kilobytes(grown), _bytes(grown), day)


def _stored(versions: float, sizes: dict[str, float]) -> Iterator[str]:
    stored, event = sizes["stored bytes"], sizes["Event bytes"]
    most = f"{_ETCD_BYTES / stored:,.0f} of them are 8 GiB"
    yield _row("… Experiment and children, as JSON", _kilobytes(stored), _bytes(stored), most)
    hour = f"{event * RATE * 3600 / 1e9:.1f} GB of the last hour"
    yield _row("… its Event", _kilobytes(event), _bytes(event), hour)
    full = f"8 GiB are full after {_ETCD_BYTES / versions / RATE / 60:.0f} minutes"
    yield _row("… growth of etcd, former versions included", _kilobytes(versions), _bytes(versions), full)


def _shards(writes: float, seconds: float) -> str:
    shard = writes * RATE / _HISTORY_SHARDS
    locked = f"{_HISTORY_SHARDS} shards: {shard:.0f} a second on each, locked {shard * seconds * 100:.0f} % of the time"
    return _row("… writes to history shards", f"{writes:.1f} of {_milliseconds(seconds)}", _rate(writes), locked)


def _cores(name: str, each: dict[str, float]) -> str:
    if name == "watcher":
        return f"one leads, and it is one process on one core: **at most {1 / each[name]:.0f} a second**"
    cores = math.ceil(each[name] * RATE / _CORE_IN_USE)
    return f"{cores} {'processes' if name == 'workers' else 'cores'}, {_CORE_IN_USE * 100:.0f} % in use"


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
