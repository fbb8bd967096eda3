"""`python -m benchmarks.history`: how long pages take of an Experiment whose history has 10,000 runs.

Starts a local cluster and serves the api, fills Temporal with runs that do nothing but end as real ones do, and asks
over HTTP. It also walks through all pages while further runs end, and fails where a run is missing or comes twice.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import uvloop
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from api.http.server import serving
from experiments.contract import WORKFLOW_TYPE, Result, Target, memo
from experiments.options import Options
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from localcluster import LocalCluster

_PATH = "/api/v1/namespaces/default/experiments/weather/reconciliations"
_QUEUE = "history"
_TARGET = Target("default", "weather", "")
_OBJECTS = 50
_TIMES = 50
_QUERIES: dict[str, dict[str, Any]] = {
    "first page": {},
    "first page of 200": {"limit": 200},
    "… of every second run (outcome=Unchanged)": {"outcome": "Unchanged"},
    "… of every 200th run (outcome=InvalidSchedule)": {"outcome": "InvalidSchedule"},
    "… with a text in the reasons of every tenth": {"reason": "7 again"},
    "… of no run (outcome=Suspended)": {"outcome": "Suspended"},
}


@workflow.defn(name=WORKFLOW_TYPE)
class Ended:
    """Ends as a run of the service does."""

    @workflow.run
    async def run(self, number: int) -> Result:
        reasons = _reasons(number)
        outcome = "InvalidSchedule" if number % 200 == 0 else "Unchanged" if number % 2 else "Reconciled"
        changes = ["changed TestWorkflow testkube/weather-workflow.default (spec.use[0].config.agentUrl)"]
        result = Result(outcome, "The cluster is as the Experiment says.", number, reasons, changes)
        workflow.upsert_memo(memo(_TARGET, reasons, result))
        if outcome == "InvalidSchedule":
            raise ApplicationError(result.message, result, type=outcome, non_retryable=True)
        return result


def _reasons(number: int) -> list[str]:
    return [f"requested: {number} again"]


async def main(count: int) -> Iterator[tuple[str, str]]:
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        temporal = await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)
        runner = UnsandboxedWorkflowRunner()
        async with Worker(temporal, task_queue=_QUEUE, workflows=[Ended], workflow_runner=runner):
            made = await _fill(temporal, range(count))
            caches = Caches(kube, [*sources(Options()), *name_sources(Options())])
            app = create_app(caches, temporal, Everybody(), ApiConfig())
            async with (
                serving(app, "127.0.0.1", 0) as port,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as api,
            ):
                await _all_known(api, len(made))
                figures = {what: await _times(api, query) for what, query in _QUERIES.items()}
                walked = await _walk(api, temporal, made)
    return _rows(figures, walked)


async def _fill(temporal: Client, numbers: range) -> set[str]:
    """Runs of one name, but of many objects, so that many can be under way at once. Returns their IDs."""

    async def runs_of(number: int) -> list[str]:
        target = replace(_TARGET, uid=str(UUID(int=number)))
        return [await _run(temporal, target, each) for each in numbers[number::_OBJECTS]]

    return {run for made in await asyncio.gather(*map(runs_of, range(_OBJECTS))) for run in made}


async def _run(temporal: Client, target: Target, number: int) -> str:
    handle = await temporal.start_workflow(
        WORKFLOW_TYPE, number, id=target.workflow_id, task_queue=_QUEUE, memo=memo(target, _reasons(number))
    )
    with suppress(WorkflowFailureError):
        await handle.result()
    return str(handle.result_run_id)


async def _all_known(api: httpx.AsyncClient, count: int) -> None:
    """Visibility, which lags behind, has heard of so many."""
    known = 0
    while known < count:
        await asyncio.sleep(0.5)
        known = sum((await _page(api))["counts"].values())


async def _page(api: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await api.get(_PATH, params=query)
    page: dict[str, Any] = answer.raise_for_status().json()
    return page


async def _times(api: httpx.AsyncClient, query: dict[str, Any]) -> list[float]:
    """Milliseconds, of the whole way from the client and back."""
    taken = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        await _page(api, **query)
        taken.append((time.perf_counter() - started) * 1000)
    return taken


async def _walk(api: httpx.AsyncClient, temporal: Client, made: set[str]) -> list[float]:
    """How long each page took. Raises AssertionError where one of the runs in `made` is missing, or any comes twice."""
    arriving = asyncio.create_task(_fill(temporal, range(_OBJECTS * 20)))
    seen: list[str] = []
    taken: list[float] = []
    query: dict[str, Any] = {"limit": 50}
    while "cursor" not in query or query["cursor"]:
        started = time.perf_counter()
        page = await _page(api, **query)
        taken.append((time.perf_counter() - started) * 1000)
        seen += [run["runId"] for run in page["items"]]
        query["cursor"] = page["nextCursor"]
    arrived = await arriving
    assert made <= set(seen) <= made | arrived, "a run is missing"
    assert len(seen) == len(set(seen)), "a run came twice"
    return taken


def _rows(figures: dict[str, list[float]], walked: list[float]) -> Iterator[tuple[str, str]]:
    for what, taken in {**figures, f"each of {len(walked)} pages while 1,000 runs end": walked}.items():
        yield what, f"{statistics.median(taken):.0f} / {statistics.quantiles(taken, n=20)[-1]:.0f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="in the history (default: 10000)")
    found = uvloop.run(main(parser.parse_args().runs))
    print("\n".join(["| page | p50 / p95 |", "|---|---|", *(f"| {name} | {value} |" for name, value in found)]))
