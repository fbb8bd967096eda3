"""`python -m benchmarks.page`: what the list of Experiments for people costs the api, without a cluster.

What counts is the CPU of one page of fifty rows, with more and more Experiments in the caches.
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import Any
from unittest.mock import MagicMock

import httpx
import uvloop

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from experiments.resources import EXPERIMENT
from kube.objects import Object, Resource

_REQUESTS = 50
_COUNTS = (100, 1000, 5000, 10_000)
_ASKED = {"first page": "/", "a search": "/?q=e0042", "those that failed": "/?verdict=Failed"}


async def main() -> None:
    print(f"| Experiments | {' | '.join(_ASKED)} |\n|---|{'---|' * len(_ASKED)}")
    for count in _COUNTS:
        caches = MagicMock(synced=True)
        caches.objects.side_effect = _listing([_experiment(number) for number in range(count)])
        caches.staleness.return_value = None
        app = create_app(caches, MagicMock(), Everybody(), ApiConfig(temporal_ui_url="", task_queue="page"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as api:
            gc.collect()
            gc.freeze()  # as the api does once its caches are filled
            figures = [f"{await _cpu(api, path):.0f} ms" for path in _ASKED.values()]
        print(f"| {count:,} | {' | '.join(figures)} |")


def _listing(experiments: list[Object]) -> Any:
    def objects(resource: Resource) -> list[Object]:
        return experiments if resource == EXPERIMENT else []

    return objects


def _experiment(number: int) -> Object:
    meta: Object = {
        "namespace": f"team-{number % 10}",
        "name": f"e{number:05}",
        "uid": f"uid-{number}",
        "generation": 1,
    }
    meta |= {"creationTimestamp": "2026-11-26T09:00:00Z", "resourceVersion": "1"}
    ready = {"type": "Ready", "status": "True", "reason": "Reconciled", "message": "It is as it should be."}
    ready |= {"lastTransitionTime": "2026-11-26T09:00:00Z"}
    verdict = "Failed" if number % 7 == 0 else "Passed"
    last = {"executionId": f"{number:024}", "startTime": "2026-11-26T09:00:00Z", "status": "passed", "verdict": verdict}
    status = {"observedGeneration": 1, "conditions": [ready], "lastExecution": {**last, "summary": f"{verdict} 17/20"}}
    return {
        "metadata": meta,
        "spec": {"agentRef": {"name": "weather"}, "schedule": {"cron": "0 * * * *"}},
        "status": status,
    }


async def _cpu(api: httpx.AsyncClient, path: str) -> float:
    """Milliseconds of the middle one of many."""
    used = []
    for _ in range(_REQUESTS):
        before = time.process_time()
        response = await api.get(path)
        used.append(time.process_time() - before)
        response.raise_for_status()
    return 1000 * statistics.median(used)


if __name__ == "__main__":
    uvloop.run(main())
