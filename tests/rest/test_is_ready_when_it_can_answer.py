"""Kubernetes sends requests only while they can be answered, and whoever looks at /readyz reads what is missing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from temporalio.client import Client

from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Source
from support.polling import until
from telemetry.health import needs
from temporal.probe import watch_temporal


@pytest.fixture
def process(monkeypatch, serve):
    """`async with process(caches, temporal) as api`: the api in a process that has these two, and nothing else."""
    monkeypatch.setattr("telemetry.health._needs", {})

    @asynccontextmanager
    async def run(caches, temporal):
        needs("api", caches.missing)
        probe = asyncio.create_task(watch_temporal(temporal))
        async with serve(caches, temporal) as api:
            yield api
        probe.cancel()
        with suppress(asyncio.CancelledError):
            await probe

    return run


@pytest.fixture
def ready():
    """`await ready(api, 503, words)`: what /readyz comes to, within a while."""

    async def ask(api, status, words=""):
        async def told():
            answer = await api.get("/readyz")
            return answer if answer.status_code == status and words in answer.text else None

        assert (await api.get("/healthz")).json() == {"status": "ok"}
        return (await until(told)).json()

    return ask


async def test_ready_with_filled_caches_and_temporal(process, ready, caches, temporal):
    async with process(caches, temporal) as api:
        assert await ready(api, 200) == {"status": "ok"}


async def test_not_ready_before_the_first_list(process, ready, kube, temporal):
    async with process(Caches(kube, [Source(EXPERIMENT)]), temporal) as api:
        problem = await ready(api, 503, "have not been listed yet")
    assert problem["type"].endswith(":NotReady")
    assert "api: experiments have not been listed yet" in problem["errors"]


async def test_not_ready_without_temporal(process, ready, caches, temporal_away):
    async with process(caches, temporal_away) as api:
        problem = await ready(api, 503, "temporal: ")
    assert [error.partition(": ")[0] for error in problem["errors"]] == ["temporal"]


async def test_not_ready_where_temporal_lacks_the_namespace(process, ready, caches, cluster):
    elsewhere = await Client.connect(cluster.temporal_address, namespace="nowhere")
    async with process(caches, elsewhere) as api:
        problem = await ready(api, 503, "nowhere")
    assert problem["errors"] == ["temporal: Namespace nowhere is not found."]
