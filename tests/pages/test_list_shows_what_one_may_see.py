"""`/` lists the Experiments that its reader may see: how they are, how their agents did, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock

import httpx
from temporalio.client import Client

from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.client import KubeClient
from support.evaluated import Evaluated
from support.people import People
from support.polling import until
from support.world import World, new_namespace


async def test_state_verdict_and_next_run(http: httpx.AsyncClient, evaluated: Evaluated, caches: Caches) -> None:
    await evaluated.judged(1.0, 0.3)
    await until(lambda: "Failed" in str((caches.get(evaluated.world.ref()) or {}).get("status")))
    text = (await http.get("/", params={"q": evaluated.target.namespace})).text
    assert "1 Experiment<" in text
    assert f'href="./experiments/{evaluated.target.namespace}/demo"' in text
    assert ">Ready.<" in text
    assert 'class="badge bad">Failed</span> 1/2' in text
    assert "06:00:00 UTC</time>" in text  # Mondays at six
    assert "when the agent changes" in text


async def test_trend_of_the_last_executions(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    await evaluated.judged(1.0, 1.0, minutes=5)
    await evaluated.judged(1.0, 0.3)

    async def part() -> str:
        return (await http.get("/trends", params={"q": evaluated.target.namespace})).text

    text = await until(part, lambda found: "last 2 executions" in found)
    assert f'<span id="trend-{evaluated.target.uid}" hx-swap-oob="true"><svg' in text
    assert "the oldest first: Passed 100%, Failed 50%" in text


async def test_without_temporal_the_list_is_there_and_the_trend_says_why_it_is_not(
    serve: Callable[..., Any], world: World, caches: Caches, temporal_away: Client
) -> None:
    await world.create("weather")
    await until(lambda: caches.get(world.ref("weather")))
    async with serve(temporal=temporal_away) as http:
        assert "weather" in (await http.get("/", params={"q": world.namespace})).text
        assert "Temporal, which keeps the history, does not answer" in (await http.get("/trends")).text


async def test_those_of_other_namespaces_leave_no_trace(
    guarded: httpx.AsyncClient, people: People, world: World, kube: KubeClient, caches: Caches
) -> None:
    other = World(world.cluster, kube, world.temporal, await new_namespace(kube, "secret"))
    await world.create("mine")
    await other.create("hidden")
    await until(lambda: caches.get(world.ref("mine")) and caches.get(other.ref("hidden")))
    await people.add("reader", (world.namespace, "get list"))
    for path in ("/", "/trends"):
        text = (await guarded.get(path, headers=people.headers("reader"))).text
        assert other.namespace not in text
    text = (await guarded.get("/", headers=people.headers("reader"))).text
    assert "1 Experiment<" in text
    assert "mine" in text


async def test_without_a_token_the_page_says_how_to_come_by_one(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.get("/")
    assert answer.status_code == 401
    assert "experiment-operator ui" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


async def test_filters_live_in_the_address(http: httpx.AsyncClient, world: World, caches: Caches) -> None:
    for name in ("rain", "snow", "wind"):
        await world.create(name)
    await until(lambda: all(caches.get(world.ref(name)) for name in ("rain", "snow", "wind")))
    where = {"q": f"{world.namespace}/", "sort": "name"}
    assert "1 Experiment<" in (await http.get("/", params={"q": f"{world.namespace}/snow"})).text
    assert "0 Experiments" in (await http.get("/", params={**where, "ready": "true", "verdict": ""})).text
    first = (await http.get("/", params={**where, "limit": "2"})).text
    assert "3 Experiments, 2 on this page" in first
    following = first.split('" rel="next"')[0].rpartition('href="./')[2].replace("&amp;", "&")
    second = (await http.get(f"/{following}")).text
    assert "/wind" in second
    assert "/rain" not in second
    assert "First page" in second
    refused = await http.get("/", params={"redy": "true"})
    assert refused.status_code == 422
    assert "query.redy: unknown field" in refused.text


class _Filled:
    """Caches with a great many Experiments."""

    synced = True

    def __init__(self, count: int) -> None:
        self._objects = [self._object(number) for number in range(count)]

    @staticmethod
    def _object(number: int) -> dict[str, Any]:
        meta = {"namespace": f"team-{number % 10}", "name": f"e{number:04}", "uid": f"uid-{number}", "generation": 1}
        meta |= {"creationTimestamp": "2026-11-26T09:00:00Z", "resourceVersion": "1"}
        return {"metadata": meta, "spec": {"agentRef": {"name": "weather"}, "schedule": {"cron": "0 * * * *"}}}

    def objects(self, resource: Any) -> list[dict[str, Any]]:
        return self._objects if resource == EXPERIMENT else []

    def subscribe(self, _: Any) -> None: ...

    def staleness(self, *_: Any) -> None: ...


async def test_of_five_thousand_one_page_is_looked_at_and_temporal_is_asked_once(
    serve: Callable[..., Any], temporal: Client, monkeypatch: Any
) -> None:
    asked = []
    listed = temporal.list_workflows
    monkeypatch.setattr(temporal, "list_workflows", lambda query, **more: asked.append(query) or listed(query, **more))
    nobody = AsyncMock(side_effect=AssertionError("the list asks Temporal for nothing"))
    monkeypatch.setattr(temporal, "count_workflows", nobody)
    async with serve(caches=_Filled(5000)) as http:
        page = (await http.get("/")).text
        assert "5000 Experiments, 50 on this page" in page
        assert page.count("<tr>") == 51
        assert not asked
        assert (await http.get("/trends")).status_code == 200
        assert len(asked) == 1
