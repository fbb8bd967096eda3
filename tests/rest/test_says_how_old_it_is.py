"""While the API server is away, what is cached is still shown, and says since when it may be out of date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef
from support.background import running
from support.clusters import all_caches
from support.polling import until
from support.streams import follow
from support.world import World, remove_experiments

_LIST = "/api/v1/experiments"
_ONE = "/api/v1/namespaces/default/experiments/weather"
_REF = ObjectRef(EXPERIMENT, "default", "weather")


@pytest.fixture
async def caches(cluster, kube, temporal):
    """Filled with an Experiment `weather`; they try again soon."""
    world = World(cluster, kube, temporal, "default")
    await world.create("weather")
    filled = all_caches(kube, max_pause=1)
    async with running(filled.run()):
        await filled.wait_synced()
        yield filled
    await remove_experiments(kube)


async def test_cached_answers_are_marked_until_the_api_server_is_back(cluster, kube, caches, temporal, listen):
    began = datetime.now(UTC)
    async with listen(caches, temporal) as api, follow(api, "/events") as stream:
        for path in (_LIST, _ONE):
            fresh = await api.get(path)
            assert fresh.json()["stale"] is None
            assert "Cache-Status" not in fresh.headers
        await until(lambda: "synced" in stream.names)
        await cluster.stop_apiserver()

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

        await cluster.start_apiserver()
        await kube.merge_patch(_REF, {"metadata": {"labels": {"team": "weather"}}})

        async def fresh_again():
            answers = [await api.get(path) for path in (_LIST, _ONE)]
            return all(answer.json()["stale"] is None for answer in answers)

        await until(fresh_again)
        cleared = {"experiments": None, "runs": None}
        await until(lambda: cleared in [event["data"] for event in stream.events if event["event"] == "stale"])
        await until(lambda: "changed" in stream.of("default", "weather"))
