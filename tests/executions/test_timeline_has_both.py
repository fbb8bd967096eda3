"""Whoever asks what happened to an Experiment gets reconciliations and executions in one list, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from support.evaluated import Evaluated
from support.polling import until


async def _page(api: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await api.get("/timeline", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def _id(item: dict[str, Any]) -> str:
    return str(
        item["reconciliation"]["runId"] if item["kind"] == "reconciliation" else item["execution"]["executionId"]
    )


def _soon() -> str:
    """By a clock that is a minute ahead."""
    return (datetime.now(UTC) + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")


@pytest.fixture
async def history(api: httpx.AsyncClient, evaluated: Evaluated) -> list[str]:
    """What happened, the newest first: reconciliations now, between executions before, meanwhile and after."""
    older = [await evaluated.judged(1.0, minutes=minutes) for minutes in (30, 20)]
    runs = [(await api.post("/reconciliations", params={"wait": "30s"})).json()["runId"] for _ in range(3)]
    newer = evaluated.execution("running", scheduledAt=_soon())
    await until(lambda: _page(api), lambda page: len(page["items"]) == 6)
    await until(
        lambda: api.get("/executions", params={"verdict": "Passed"}), lambda found: len(found.json()["items"]) == 2
    )
    return [newer["id"], *runs[::-1], older[1]["id"], older[0]["id"]]


async def test_they_are_in_one_list_by_their_start(
    api: httpx.AsyncClient, evaluated: Evaluated, history: list[str]
) -> None:
    page = await _page(api)
    assert [_id(item) for item in page["items"]] == history
    times = [datetime.fromisoformat(item["time"]) for item in page["items"]]
    assert times == sorted(times, reverse=True)
    assert [item["kind"] for item in page["items"]] == ["execution", *["reconciliation"] * 3, *["execution"] * 2]
    assert page["items"][1]["reconciliation"]["name"] == page["items"][0]["execution"]["name"] == evaluated.target.name
    assert (page["nextCursor"], page["unavailable"]) == (None, [])


@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_pages_have_each_once(
    api: httpx.AsyncClient, history: list[str], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.executions.stretches._FEW", 1)
    monkeypatch.setattr("api.executions.pages._LEAST", 1)
    found, query = [], {"limit": limit}
    while True:
        page = await _page(api, **query)
        found += [_id(item) for item in page["items"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert found == history


async def test_a_time_range_leaves_what_began_in_it(api: httpx.AsyncClient, history: list[str]) -> None:
    items = (await _page(api))["items"]
    page = await _page(api, since=items[4]["time"], until=items[1]["time"])
    assert [_id(item) for item in page["items"]] == history[2:5]


async def test_where_one_is_away_the_rest_is_shown(
    api: httpx.AsyncClient, serve: Callable[..., Any], evaluated: Evaluated, history: list[str], temporal_away: Client
) -> None:
    async with serve(temporal_away) as without:
        page = await _page(without)
    assert [_id(item) for item in page["items"]] == [history[0], *history[4:]]
    assert len(page["unavailable"]) == 1
    evaluated.testkube.trouble = "away"
    page = await _page(api)
    assert [_id(item) for item in page["items"]] == history[1:]
    assert page["unavailable"][0].startswith("Testkube does not answer")
    async with serve(temporal_away) as without:
        assert (await without.get("/timeline")).status_code == 503


async def test_of_an_experiment_that_does_not_exist_there_is_none(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    assert (await _page(api))["items"] == []
    answer = await api.get(f"/../another-{evaluated.target.name}/timeline")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (404, "NotFound")
