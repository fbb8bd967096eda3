"""Whoever asks for the executions of an Experiment gets them from Temporal and Testkube in one list, by their start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from support.evaluated import Evaluated
from support.polling import until


async def _listed(api: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await api.get("/executions", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def _verdicts(api: httpx.AsyncClient, number: int, **query: Any) -> list[tuple[int, str | None]]:
    """Number and verdict of each, once visibility, which lags, knows so many verdicts."""
    rows = await until(lambda: _listed(api, **query), lambda rows: sum(bool(row["verdict"]) for row in rows) == number)
    return [(row["executionNumber"], row["verdict"]) for row in rows]


def _ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


async def test_a_row_has_what_the_status_has(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0, 0.3)
    assert await _verdicts(api, 1) == [(1, "Failed")]
    (row,), last = await _listed(api), await evaluated.last()
    for field in (
        "executionId",
        "executionNumber",
        "startTime",
        "status",
        "startedBy",
        "verdict",
        "metrics",
        "summary",
    ):
        assert row[field] == last[field], field
    assert (row["executionId"], row["uid"]) == (execution["id"], evaluated.target.uid)
    assert row["summary"] == "Failed 1/2"
    assert row["byMetric"] == {"m0": 1.0, "m1": 0.3}
    assert row["links"]["temporal"].startswith("http://temporal.example/namespaces/default/workflows/execution%2F")


async def test_the_start_decides_whoever_knows_of_it(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    """Also where they were followed in another order, as after a time without a watcher."""
    oldest, _, third, fourth = (evaluated.scored(1.0, minutes=minutes) for minutes in (50, 40, 30, 20))
    for execution in (fourth, oldest, third):
        await evaluated.judge(execution)
    evaluated.execution("running")
    listed = [(5, None), (4, "Passed"), (3, "Passed"), (2, None), (1, "Passed")]
    assert await _verdicts(api, 3) == listed


async def test_of_one_that_goes_on_testkube_knows_the_newest_state(
    api: httpx.AsyncClient, evaluated: Evaluated
) -> None:
    execution = evaluated.execution("running")
    await evaluated.follow(execution)
    await until(lambda: _listed(api), lambda rows: rows[0]["links"]["temporal"] and rows[0]["status"] == "running")
    evaluated.testkube.set_status(execution, "paused")
    (row,) = await _listed(api)
    assert (row["status"], row["summary"], row["verdict"]) == ("paused", "paused", None)


async def test_pages_have_each_once(api: httpx.AsyncClient, evaluated: Evaluated, monkeypatch: Any) -> None:
    monkeypatch.setattr("api.executions.stretches._FEW", 2)
    monkeypatch.setattr("api.executions.pages._LEAST", 1)
    numbers = list(range(1, 8))
    for number in numbers:
        await evaluated.judged(1.0, minutes=20 * (10 - number))
    await _verdicts(api, len(numbers))
    pages: list[list[int]] = []
    query: dict[str, Any] = {"limit": 2}
    while query.get("cursor", "first"):
        page = (await api.get("/executions", params=query)).json()
        pages.append([row["executionNumber"] for row in page["items"]])
        query["cursor"] = page["nextCursor"]
        evaluated.execution("running")  # what begins meanwhile is newer
    assert pages == [[7, 6], [5, 4], [3, 2], [1]]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"verdict": "Failed"}, [2]),
        ({"verdict": "NotEvaluated"}, []),
        ({"status": "running"}, [4]),
        ({"startedBy": "Trigger"}, [3]),
        ({"startedBy": "User"}, [4, 2, 1]),
        ({"until": lambda: _ago(15)}, [2, 1]),
        ({"since": lambda: _ago(25), "until": lambda: _ago(5)}, [3, 2]),
        ({"since": lambda: _ago(25), "verdict": "Passed", "limit": 1}, [3]),
    ],
)
async def test_filters_leave_what_is_asked_for(
    api: httpx.AsyncClient, evaluated: Evaluated, query: dict[str, Any], numbers: list[int]
) -> None:
    trigger = {"runningContext": {"actor": {"type": "testtrigger", "name": "demo-trigger"}}}
    await evaluated.judged(1.0, minutes=30)
    await evaluated.judged(0.2, minutes=20)
    await evaluated.judged(1.0, minutes=10, **trigger)
    evaluated.execution("running")
    await _verdicts(api, 3)
    query = {name: value() if callable(value) else value for name, value in query.items()}
    assert [row["executionNumber"] for row in await _listed(api, **query)] == numbers


async def test_what_testkube_has_forgotten_is_there(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    await evaluated.judged(1.0)
    evaluated.testkube.executions.clear()
    assert await _verdicts(api, 1) == [(1, "Passed")]


async def test_another_testworkflow_of_the_same_name_is_not_shown(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    """Where names come again in each namespace, Testkube has only one of them, which may be somebody else's."""
    marks = {"testbench.agentic-layer.ai/experiment": "another/demo"}
    foreign = evaluated.execution("passed", annotations=marks, labels={"team": "b"})
    evaluated.testkube.upload(foreign, {"secret": True})
    assert await _listed(api) == []
    for path in ("", "/artifacts", "/artifacts/data/experiments/evaluated_experiment.json"):
        assert (await api.get(f"/executions/{foreign['id']}{path}")).status_code == 404


async def test_while_testkube_is_away_the_rest_is_shown(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    await evaluated.judged(1.0)
    await _verdicts(api, 1)
    evaluated.testkube.trouble = "away"
    answer = (await api.get("/executions")).json()
    assert [row["verdict"] for row in answer["items"]] == ["Passed"]
    (why,) = answer["unavailable"]
    assert why.startswith("Testkube does not answer: GET http")


async def test_while_temporal_is_away_the_rest_is_shown(
    serve: Callable[..., Any], evaluated: Evaluated, temporal_away: Client
) -> None:
    evaluated.execution("running")
    async with serve(temporal_away) as api:
        answer = (await api.get("/executions")).json()
        assert [row["status"] for row in answer["items"]] == ["running"]
        (why,) = answer["unavailable"]
        assert why.startswith("Temporal, which keeps the history, does not answer")
        evaluated.testkube.trouble = "away"
        refusal = await api.get("/executions")
    assert refusal.status_code == 503
    assert refusal.json()["type"].endswith((":TemporalUnavailable", ":TestkubeUnavailable"))


async def test_without_testkube_there_is_what_temporal_keeps(serve: Callable[..., Any], evaluated: Evaluated) -> None:
    await evaluated.judged(1.0)
    async with serve(url="") as api:
        assert await _verdicts(api, 1) == [(1, "Passed")]
        assert (await api.get("/executions")).json()["unavailable"] == []


async def test_of_an_experiment_that_does_not_exist_there_are_none(
    api: httpx.AsyncClient, evaluated: Evaluated
) -> None:
    assert await _listed(api) == []
    answer = await api.get(f"/../another-{evaluated.target.name}/executions")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (404, "NotFound")
