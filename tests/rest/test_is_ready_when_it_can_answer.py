"""Kubernetes sends requests only while they can be answered, and whoever looks at /readyz reads what is missing."""

from __future__ import annotations

from temporalio.client import Client

from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Source


async def test_ready_with_filled_caches_and_temporal(api):
    assert (await api.get("/readyz")).status_code == 200
    assert (await api.get("/healthz")).json() == {"status": "ok"}


async def test_not_ready_before_the_first_list(serve, kube, temporal):
    async with serve(Caches(kube, [Source(EXPERIMENT)]), temporal) as api:
        answer = await api.get("/readyz")
        assert (await api.get("/healthz")).status_code == 200
    assert answer.status_code == 503
    assert answer.json()["errors"] == ["The Experiments have not been listed yet."]


async def test_not_ready_without_temporal(serve, caches, temporal_away):
    async with serve(caches, temporal_away) as api:
        answer = await api.get("/readyz")
        assert (await api.get("/healthz")).status_code == 200
    assert answer.status_code == 503
    assert answer.json()["detail"] == "Temporal, which keeps the history, does not answer: no connection."


async def test_not_ready_where_temporal_lacks_the_namespace(serve, caches, cluster):
    elsewhere = await Client.connect(cluster.temporal_address, namespace="nowhere")
    async with serve(caches, elsewhere) as api:
        answer = await api.get("/readyz")
    assert answer.status_code == 503
    assert "Namespace nowhere is not found" in answer.json()["detail"]
