"""Somebody aborts an execution: Testkube is told, and the status follows at once, although no Event tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from temporalio.client import Client

from support.evaluated import Evaluated
from support.polling import until


def _kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_it_is_canceled_and_the_status_says_so(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.execution("running")
    await evaluated.follow(execution)
    await until(evaluated.last)
    answer = await api.post(f"/executions/{execution['id']}/abort")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    last = await until(evaluated.last, lambda last: last.get("verdict"))
    assert (last["status"], last["verdict"]) == ("canceled", "NotEvaluated")


async def test_one_that_does_not_end_at_once_is_left_to_end(
    api: httpx.AsyncClient, evaluated: Evaluated, monkeypatch: Any
) -> None:
    monkeypatch.setattr("api.executions.stopping._STOP_SECONDS", 0.5)
    evaluated.testkube.stubborn = True
    execution = evaluated.execution("running")
    answer = await api.post(f"/executions/{execution['id']}/abort")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")


async def test_one_that_has_ended_cannot_be_aborted(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0)
    answer = await api.post(f"/executions/{execution['id']}/abort")
    assert _kind(answer) == (409, "AlreadyFinished")
    assert answer.json()["detail"] == "Execution 1 cannot be aborted any more: it has ended."
    evaluated.testkube.executions.clear()
    assert _kind(await api.post(f"/executions/{execution['id']}/abort")) == (404, "NotFound")


async def test_that_of_another_is_left_alone(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    evaluated.testkube.workflows.add("another")
    foreign = evaluated.testkube.add("another", "running")
    assert _kind(await api.post(f"/executions/{foreign['id']}/abort")) == (404, "NotFound")
    assert not [each for each in evaluated.testkube.requests if each.startswith("POST")]


async def test_while_testkube_is_away_it_is_to_be_asked_again(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.execution("running")
    await evaluated.follow(execution)
    evaluated.testkube.trouble = "away"
    assert _kind(await api.post(f"/executions/{execution['id']}/abort")) == (503, "TestkubeUnavailable")


async def test_without_temporal_it_is_aborted_all_the_same(
    serve: Callable[..., Any], evaluated: Evaluated, temporal_away: Client
) -> None:
    execution = evaluated.execution("running")
    async with serve(temporal_away) as api:
        answer = await api.post(f"/executions/{execution['id']}/abort")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
