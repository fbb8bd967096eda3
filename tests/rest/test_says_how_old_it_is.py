"""While the API server is away, what is cached is still shown, and says since when it may be out of date."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from experiments.options import Options
from experiments.resources import EXPERIMENT
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import ObjectRef
from localcluster import LocalCluster
from support.polling import until
from support.streams import follow

_LIST = "/api/v1/experiments"
_ONE = "/api/v1/namespaces/default/experiments/weather"
_REF = ObjectRef(EXPERIMENT, "default", "weather")


@pytest.fixture
async def own():
    """A cluster of this test's own, to stop its API server, with an Experiment `weather` in filled caches."""
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await cluster.install(Path(__file__).parents[2] / "crds")
        meta = {"namespace": "default", "name": "weather"}
        spec = {"agentRef": {"name": "a"}, "scenarios": [{"name": "rain", "steps": [{"input": "Will it rain?"}]}]}
        await kube.create(
            EXPERIMENT, {"apiVersion": EXPERIMENT.api_version, "kind": EXPERIMENT.kind, "metadata": meta, "spec": spec}
        )
        caches = Caches(kube, [*sources(Options()), *name_sources(Options())], max_pause=1)
        running = asyncio.create_task(caches.run())
        await caches.wait_synced()
        temporal = await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)
        yield SimpleNamespace(cluster=cluster, kube=kube, caches=caches, temporal=temporal)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_cached_answers_are_marked_until_the_api_server_is_back(own, listen):
    began = datetime.now(UTC)
    async with listen(own.caches, own.temporal) as api, follow(api, "/events") as stream:
        for path in (_LIST, _ONE):
            fresh = await api.get(path)
            assert fresh.json()["stale"] is None
            assert "Cache-Status" not in fresh.headers
        await until(lambda: "synced" in stream.names)
        await own.cluster.stop_apiserver()

        async def stale(path):
            answer = await api.get(path)
            return answer if answer.json()["stale"] else None

        assert (await until(lambda: stale(_LIST))).json()["items"][0]["name"] == "weather"
        for path in (_LIST, _ONE):
            answer = await until(lambda path=path: stale(path))
            said = answer.json()["stale"]
            assert began - timedelta(minutes=2) < datetime.fromisoformat(said["asOf"]) < datetime.now(UTC)
            assert any("experiments" in error for error in said["errors"])
            product, hit, ttl = answer.headers["Cache-Status"].split("; ")
            assert (product, hit) == ("experiment-operator", "hit")
            assert int(ttl.removeprefix("ttl=")) < 0
            known = await api.get(path, headers={"If-None-Match": answer.headers["ETag"]})
            assert (known.status_code, "Cache-Status" in known.headers) in {(304, True), (200, True)}
        told = await until(lambda: [event for event in stream.events if event["event"] == "stale"])
        assert told[0]["data"]["experiments"]["errors"]

        await own.cluster.start_apiserver()
        await own.kube.merge_patch(_REF, {"metadata": {"labels": {"team": "weather"}}})

        async def fresh_again():
            answers = [await api.get(path) for path in (_LIST, _ONE)]
            return all(answer.json()["stale"] is None for answer in answers)

        await until(fresh_again)
        cleared = {"experiments": None, "runs": None}
        await until(lambda: cleared in [event["data"] for event in stream.events if event["event"] == "stale"])
        await until(lambda: "changed" in stream.of("default", "weather"))
