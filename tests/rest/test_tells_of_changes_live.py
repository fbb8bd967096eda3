"""Whoever follows Experiments hears of each change and of each run, as it happens and only where it may look."""

from __future__ import annotations

import pytest

from experiments.contract import Target
from experiments.plan import Step
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef
from support.polling import until
from support.streams import follow


@pytest.fixture
async def live(listen, caches, temporal):
    async with listen(caches, temporal) as api:
        yield api


@pytest.fixture
def remove(kube, namespace):
    async def delete(name):
        ref = ObjectRef(EXPERIMENT, namespace, name)
        await kube.delete(ref, uid=(await kube.get(ref))["metadata"]["uid"])

    return delete


def synced(stream):
    return lambda: "synced" in stream.names


async def test_a_stream_begins_with_what_there_is(live, create, namespace):
    await create("weather")
    listed = (await live.get(f"/api/v1/namespaces/{namespace}/experiments")).json()["items"]
    async with follow(live, "/events") as stream:
        await until(synced(stream))
        assert stream.names[0] == "reset"
        assert [e["data"] for e in stream.events if e["data"].get("namespace") == namespace] == listed
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert stream.response.headers["cache-control"] == "no-store"


async def test_tells_what_is_added_changed_and_deleted(live, create, change, remove, namespace):
    async with follow(live, "/events") as stream:
        await until(synced(stream))
        await create("weather")
        await change("weather", "TemplateMissing")
        await change("weather", "GatewayMissing")
        await remove("weather")
        await until(lambda: "deleted" in stream.of(namespace, "weather"))
        assert stream.of(namespace, "weather") == ["added", "changed", "changed", "deleted"]
        about = [event["data"] for event in stream.events if event["data"].get("namespace") == namespace]
        reasons = [each["reason"] for each in about]
        assert reasons == [None, "TemplateMissing", "GatewayMissing", "GatewayMissing"]


async def test_tells_how_the_agent_did(live, create, kube, namespace):
    await create("weather")
    async with follow(live, "/events") as stream:
        await until(synced(stream))
        last = {"executionId": "1", "status": "passed", "verdict": "Failed", "summary": "Failed 17/20"}
        ref = ObjectRef(EXPERIMENT, namespace, "weather")
        await kube.merge_patch(ref, {"status": {"lastExecution": last}}, subresource="status")
        await until(lambda: "changed" in stream.of(namespace, "weather"))
    changed = [e["data"] for e in stream.events if e["event"] == "changed" and e["data"]["namespace"] == namespace]
    assert changed[-1]["lastExecution"]["summary"] == "Failed 17/20"


async def test_what_no_list_shows_is_no_news(live, create, change, kube, caches, namespace):
    await create("weather")
    ref = ObjectRef(EXPERIMENT, namespace, "weather")
    async with follow(live, "/events") as stream:
        await until(synced(stream))
        await kube.merge_patch(ref, {"metadata": {"annotations": {"example.org/note": "hello"}}})
        await until(lambda: "example.org/note" in caches.get(ref)["metadata"].get("annotations", {}))
        await change("weather", "Reconciled")
        await until(lambda: "changed" in stream.of(namespace, "weather"))
        assert stream.of(namespace, "weather") == ["added", "changed"]


async def test_tells_of_runs_and_how_they_end(live, runs, target):
    runs.plan(target.name, problem=("TemplateMissing", "run-template does not exist."))
    async with follow(live, "/events") as stream:
        await until(synced(stream))
        handle = await runs.start(target, "generation 1")
        await until(lambda: stream.of(target.namespace, target.name) == ["started"])
        runs.plan(target.name, Step.APPLY_CONFIG_MAP)
        await runs.start(target, "generation 2")
        await handle.result()
        await until(lambda: stream.of(target.namespace, target.name) == ["started", "ended"])
        started, ended = [event["data"] for event in stream.events if event["data"].get("name") == target.name]
        assert (started["runId"], started["outcome"]) == (handle.result_run_id, "Running")
        assert (ended["runId"], ended["outcome"], ended["namespace"]) == (handle.result_run_id, "Reconciled", "default")
        assert ended["changes"] == [f"did apply_config_map on {target.name}"]


async def test_follows_one_experiment_alone(live, create, change, namespace):
    await create("weather")
    await create("news")
    async with follow(live, f"/namespaces/{namespace}/experiments/weather/events") as stream:
        await until(synced(stream))
        await change("news", "Reconciled")
        await change("weather", "Reconciled")
        await until(lambda: "changed" in stream.of(namespace, "weather"))
        assert stream.of(namespace, "weather") == ["added", "changed"]
        assert stream.of(namespace, "news") == []


async def test_who_follows_one_experiment_hears_how_its_newest_run_has_ended(live, create, runs, namespace):
    obj = await create("weather")
    runs.plan("weather", Step.APPLY_CONFIG_MAP)
    run_id = await runs.finish(Target(namespace, "weather", obj["metadata"]["uid"]), "generation 1")
    path = f"/namespaces/{namespace}/experiments/weather"

    async def is_listed():
        return (await live.get(f"/api/v1{path}/reconciliations")).json()["items"]

    await until(is_listed)
    async with follow(live, f"{path}/events") as stream:
        await until(synced(stream))
        assert stream.names[:3] == ["reset", "added", "ended"]
        assert (stream.events[2]["data"]["runId"], stream.events[2]["data"]["outcome"]) == (run_id, "Reconciled")


async def test_an_unknown_experiment_cannot_be_followed(live, namespace):
    answer = await live.get(f"/api/v1/namespaces/{namespace}/experiments/nobody/events")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_without_temporal_the_stream_goes_on_and_says_so(
    listen, caches, temporal_away, create, change, namespace
):
    await create("weather")
    async with listen(caches, temporal_away) as api:
        async with follow(api, "/events") as stream:
            await until(lambda: "stale" in stream.names)
            assert stream.events[-1]["data"]["runs"].startswith("Temporal, which keeps the history, does not answer")
            await change("weather", "Reconciled")
            await until(lambda: "changed" in stream.of(namespace, "weather"))
        async with follow(api, f"/namespaces/{namespace}/experiments/weather/events") as stream:
            await until(synced(stream))
            assert "stale" in stream.names


async def test_a_silent_stream_is_kept_alive(live, monkeypatch):
    monkeypatch.setattr("api.events.endpoints._KEEP_ALIVE_SECONDS", 0.02)
    async with follow(live, "/events") as stream:
        await until(lambda: "synced" in stream.names)
        count = stream.comments
        await until(lambda: stream.comments > count + 2)
