"""Every metric of this service, in one place; docs/metrics.md says what each means.

Whoever knows a fact counts it here, and `listener` serves them all. Those of runs are an exception: they are counted
where Temporal replays code, by Temporal's own meter (`worker/workflow.py`). Label values are few and known beforehand:
no name or namespace of an Experiment is ever among them.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram, Info, disable_created_metrics

_PREFIX = "experiment_operator"
_CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads

Info(f"{_PREFIX}_build", "What runs here").info(
    {
        "version": version("experiment-operator"),
        "temporalio": version("temporalio"),
        "python": platform.python_version(),
    }
)

KUBERNETES_CALLS = Counter(
    f"{_PREFIX}_kubernetes_calls", "Calls to the API server by HTTP status", ["verb", "resource", "code"]
)
KUBERNETES_CALL_SECONDS = Histogram(
    f"{_PREFIX}_kubernetes_call_duration_seconds",
    "Time until the API server began to answer",
    ["verb", "resource"],
    buckets=_CALL_SECONDS,
)
RELISTS = Counter(
    f"{_PREFIX}_cache_relists", "Complete lists after the first, because a watch could not be continued", ["resource"]
)
QUEUE_RETRIES = Counter(f"{_PREFIX}_queue_retries", "Experiments put back because judging or starting them failed")
STARTS = Counter(f"{_PREFIX}_starts", "Runs that Temporal was asked to start or wake, by kind of reason", ["reason"])
STUCK_RUNS = Counter(f"{_PREFIX}_stuck_runs", "Runs that were ended because their workflow task failed each time")
TESTKUBE_POLLS = Counter(
    f"{_PREFIX}_testkube_polls", "Times that Testkube was asked for its executions, by what came of it", ["outcome"]
)
EXECUTION_LOOKS = Counter(
    f"{_PREFIX}_execution_looks", "Times that an execution was found to have news, by what said so", ["source"]
)
WEBHOOK_REVIEWS = Counter(
    f"{_PREFIX}_webhook_reviews", "Experiments that the webhook judged, by what it said", ["operation", "verdict"]
)
HTTP_REQUESTS = Counter(f"{_PREFIX}_http_requests", "Requests that the api answered", ["method", "route", "code"])
HTTP_REQUEST_SECONDS = Histogram(
    f"{_PREFIX}_http_request_duration_seconds",
    "Time until the api began to answer",
    ["method", "route"],
    buckets=_CALL_SECONDS,
)
READY = Gauge(f"{_PREFIX}_ready", "Whether a source of this process is there (1) or missing (0)", ["source"])
LOOP_LAG = Gauge(f"{_PREFIX}_event_loop_lag_seconds", "Time since the event loop last came round")


@contextmanager
def kubernetes_call(verb: str, resource: str) -> Iterator[Callable[[int], None]]:
    """Count one call; the value is to be told the HTTP status, and `none` is counted where it is not."""
    code, started = "none", time.perf_counter()

    def answered(status: int) -> None:
        nonlocal code
        code = str(status)

    try:
        yield answered
    finally:
        KUBERNETES_CALLS.labels(verb, resource, code).inc()
        KUBERNETES_CALL_SECONDS.labels(verb, resource).observe(time.perf_counter() - started)


class Sampled:
    """A gauge of living things, which are asked once a second, on the event loop that they belong to.

    Where several have the same labels, such as the caches of one resource in a process with several roles, `combine`
    makes one value of theirs.
    """

    def __init__(self, gauge: Gauge, combine: Callable[[Iterable[float]], float]) -> None:
        self._gauge, self._combine = gauge, combine
        self._asked: dict[tuple[str, ...], list[Callable[[], float]]] = {}
        _SAMPLED.append(self)

    @contextmanager
    def of(self, ask: Callable[[], float], *labels: str) -> Iterator[None]:
        """Take the value from `ask` while the context is open."""
        asked = self._asked.setdefault(labels, [])
        asked.append(ask)
        try:
            yield
        finally:
            asked.remove(ask)

    def sample(self) -> None:
        for labels, asked in self._asked.items():
            gauge = self._gauge.labels(*labels) if labels else self._gauge
            gauge.set(self._combine(ask() for ask in asked) if asked else 0)


_SAMPLED: list[Sampled] = []


def sample() -> None:
    """Sample every gauge; to be called on the event loop, about once a second."""
    for sampled in _SAMPLED:
        sampled.sample()


CACHE_OBJECTS = Sampled(Gauge(f"{_PREFIX}_cache_objects", "Objects held in caches", ["resource"]), sum)
CACHE_STALENESS = Sampled(
    Gauge(f"{_PREFIX}_cache_staleness_seconds", "Time since the API server was last heard about it", ["resource"]), max
)
QUEUE_DEPTH = Sampled(Gauge(f"{_PREFIX}_queue_depth", "Experiments that wait to be judged"), sum)
QUEUE_OLDEST = Sampled(Gauge(f"{_PREFIX}_queue_oldest_seconds", "How long the first that is not held has waited"), max)
TESTKUBE_SILENCE = Sampled(
    Gauge(f"{_PREFIX}_testkube_silence_seconds", "Time since Testkube last listed its executions to who leads"), max
)
LEASE_HELD = Sampled(
    Gauge(f"{_PREFIX}_lease_held", "Whether this process holds a Lease (1) or not (0)", ["lease"]), sum
)
