"""Where Testkube can be asked, somebody has to follow executions: a worker that does not know of Testkube will not."""

from __future__ import annotations

from typing import Any

from temporalio.client import Client

from experiments.options import Options
from kube.client import KubeClient
from support.background import running
from support.task_queues import works_on
from support.testkube import TestkubeStandIn
from worker.main import run_worker


async def test_a_worker_without_testkube_is_found_out(
    doctor: Any, environment: Any, kube: KubeClient, temporal: Client
) -> None:
    async with (
        TestkubeStandIn() as testkube,
        running(run_worker(kube, temporal, Options(), task_queue="alone", sandbox=True)),
    ):
        await works_on(temporal, "alone")
        environment(TESTKUBE_API_URL=testkube.url, TEMPORAL_TASK_QUEUE="alone")
        (said,) = [each for each in await doctor() if each.name == "task queue"]
    assert said.found == "nobody works on workflows or activities of alone-executions"
    assert "TESTKUBE_API_URL" in said.advice
