"""A long history comes in pages: complete and without repeats, also while runs begin and end."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from uuid import uuid4

import pytest

from support.polling import until

_OBJECTS = 5


@pytest.fixture
def page(api, target):
    """`await page(limit=…)`: one page of this name's history."""

    async def ask(**query):
        url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"
        return (await api.get(url, params=query)).raise_for_status().json()

    return ask


@pytest.fixture
async def objects(runs, target):
    """Experiments that had the same name one after the other, whose runs find nothing to do."""
    runs.plan(target.name)
    return [replace(target, uid=str(uuid4())) for _ in range(_OBJECTS)]


@pytest.fixture
def finish(runs, objects):
    """`await finish(n)`: so many runs, of all objects in turn. Returns their IDs."""

    async def one_after_the_other(target, count):
        return [await runs.finish(target, "generation 1") for _ in range(count)]

    async def make(count):
        made = await asyncio.gather(*(one_after_the_other(each, count // _OBJECTS) for each in objects))
        return {run_id for ids in made for run_id in ids}

    return make


def ids(page):
    return [run["runId"] for run in page["items"]]


async def test_every_run_comes_once_while_others_arrive(page, finish):
    made = await finish(150)
    await until(lambda: _counted(page, Completed=150))
    arriving = asyncio.create_task(finish(50))
    seen, cursor = [], {}
    while cursor != {"cursor": None}:
        found = await page(limit=9, **cursor)
        seen += ids(found)
        cursor = {"cursor": found["nextCursor"]}
    arrived = await arriving
    assert len(seen) == len(set(seen))
    assert made <= set(seen) <= made | arrived


async def test_a_run_that_ends_between_two_pages_is_neither_lost_nor_repeated(page, runs, finish, objects):
    ended = await finish(10)
    await until(lambda: _counted(page, Completed=10))
    runs.plan(objects[0].name, problem=("GatewayMissing", "There is no AiGateway."))
    first, second, third = [await runs.start(each, "generation 2") for each in objects[:3]]
    await until(lambda: _counted(page, Running=3))

    found = await page(limit=1)
    assert ids(found) == [third.result_run_id], "the last to begin comes first"
    for handle in (first, third):  # one that was shown, and one that was not
        await handle.terminate()
    await until(lambda: _counted(page, Running=1, Terminated=2))
    seen = ids(found)
    while found["nextCursor"]:
        found = await page(limit=1, cursor=found["nextCursor"])
        seen += ids(found)
    assert sorted(seen) == sorted([*(handle.result_run_id for handle in (first, second, third)), *ended])
    await second.terminate()


async def _counted(page, **counts):
    return counts.items() <= (await page(limit=1))["counts"].items()


async def test_open_runs_come_first_then_the_last_to_end(page, runs, finish, objects):
    await finish(10)
    await until(lambda: _counted(page, Completed=10))
    runs.plan(objects[0].name, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(objects[3], "generation 2")
    await until(lambda: _counted(page, Running=1))
    first, *others = (await page())["items"]
    assert (first["runId"], first["status"]) == (handle.result_run_id, "Running")
    assert [run["closeTime"] for run in others] == sorted((run["closeTime"] for run in others), reverse=True)
    await handle.terminate()


async def test_the_last_page_says_so(page, finish):
    await finish(10)
    await until(lambda: _counted(page, Completed=10))
    first = await page(limit=5)
    second = await page(limit=5, cursor=first["nextCursor"])
    assert (len(first["items"]), len(second["items"])) == (5, 5)
    assert second["nextCursor"] is None
    assert (first["counts"], second["counts"]) == ({"Completed": 10}, None)


@pytest.mark.parametrize("cursor", ["", "x", "bm90IEpTT04=", "e30=", "WzFd", "\u00fc", "e" * 500])
async def test_a_cursor_that_was_not_given_out_is_refused(api, target, cursor):
    url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"
    answer = await api.get(url, params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith("query.cursor: ")


async def test_a_cursor_is_for_the_same_filters_only(api, page, target, finish):
    await finish(10)
    await until(lambda: _counted(page, Completed=10))
    cursor = (await page(limit=5))["nextCursor"]
    for name, query in [(target.name, {"outcome": "Completed"}), ("another", {})]:
        url = f"/api/v1/namespaces/{target.namespace}/experiments/{name}/reconciliations"
        answer = await api.get(url, params={"cursor": cursor, **query})
        assert answer.status_code == 422
    assert len((await page(limit=3, cursor=cursor))["items"]) == 3


@pytest.mark.parametrize("time", ["2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "' OR StartTime > '2026", "soon"])
async def test_nobody_gets_their_own_words_into_a_query(api, page, target, finish, time):
    await finish(10)
    await until(lambda: _counted(page, Completed=10))
    listed, position = json.loads(base64.urlsafe_b64decode((await page(limit=5))["nextCursor"]))
    forged = base64.urlsafe_b64encode(json.dumps([listed, {**position, "close_time": time}]).encode()).decode()
    url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"
    assert (await api.get(url, params={"cursor": forged})).status_code == 422
