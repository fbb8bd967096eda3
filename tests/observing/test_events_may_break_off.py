"""The watch of Testkube's Events goes on after whatever ends it; where Events may have been missed, a poll follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from aiohttp import web
from kubernetes_asyncio.client import Configuration

from experiments.options import Options
from kube.caches import Caches
from kube.client import KubeClient
from support.background import running
from support.fake_api import FakeApi
from support.polling import until
from support.testkube import TestkubeStandIn
from testkube.client import TestkubeClient
from watcher.executions import ExecutionObserver, Times
from watcher.following import Following

AT_FIRST = 2
"""Polls at the beginning of a term: one at once, and one when it is known from when on Events are heard."""
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 10 (99)"}


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as fake:
        yield fake


@pytest.fixture
async def observer(
    api: FakeApi, testkube: TestkubeStandIn, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ExecutionObserver]:
    """One that nobody runs, in a cluster without Experiments; two polls of its are a tenth of a second apart."""
    monkeypatch.setattr("watcher.executions._SHORTEST_PAUSE", 0.1)

    async def nothing(_: object) -> Any:
        raise AssertionError("there is nothing to follow")

    async def ended(_: datetime) -> set[str]:
        return set()

    async with KubeClient(Configuration(host=api.url)) as client, TestkubeClient(testkube.url) as asked:
        caches = Caches(client, [])
        following = Following(client, caches, nothing, nothing)
        times = Times(poll=3600)
        yield ExecutionObserver(client, caches, asked, Options(), following, ended=ended, times=times)


@pytest.mark.parametrize("how", ["an answer", "an error in the stream", "no permission"])
async def test_after_a_gap_it_watches_from_now_on_and_polls(observer, api, testkube, how):
    ends = {
        "an answer": api.failing(410, GONE),
        "an error in the stream": api.stream(api.event("ERROR", GONE)),
        "no permission": api.failing(403, {"message": "forbidden"}),
    }

    async def end_later(request: web.Request) -> web.StreamResponse:
        await until(lambda: len(testkube.requests) == AT_FIRST)
        return await ends[how](request)

    api.lists = [api.page(10), api.page(99)]
    api.watches = [end_later, api.stream()]
    async with running(observer.run()):
        await until(lambda: len(api.watch_queries) == 2)
        await until(lambda: len(testkube.requests) == AT_FIRST + 1)
    assert [query["resourceVersion"] for query in api.watch_queries] == ["10", "99"]
    assert {(query["limit"], query["fieldSelector"]) for query in api.list_queries} == {
        ("1", "involvedObject.kind=TestWorkflow")
    }


async def test_what_can_be_continued_is_continued(observer, api, testkube):
    """Nothing is missed, and so nothing is asked."""
    event = {"metadata": {"namespace": "testkube", "name": "an-event", "resourceVersion": "11"}}
    api.lists = [api.page(10)]
    api.watches = [api.stream(api.event("ADDED", event), hold=False), api.failing(503, {}), api.stream()]
    async with running(observer.run()):
        await until(lambda: len(api.watch_queries) == 3)
        await until(lambda: len(testkube.requests) >= AT_FIRST)
    assert [query["resourceVersion"] for query in api.watch_queries] == ["10", "11", "11"]
    assert (len(api.list_queries), len(testkube.requests)) == (1, AT_FIRST)


@pytest.mark.parametrize("event", [{}, {"metadata": {}}, {"metadata": {"resourceVersion": "11"}, "involvedObject": 7}])
async def test_an_event_of_a_shape_nobody_thought_of_ends_nothing(observer, api, event):
    api.lists = [api.page(10)]
    api.watches = [api.stream(api.event("ADDED", event)), api.stream()]
    async with running(observer.run()):
        await until(lambda: len(api.watch_queries) == 2)
