"""Somebody asks for an execution over REST: it is started once, or refused with the reason, and may be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from support.evaluated import Evaluated, scores
from support.polling import until


def _kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_it_is_started_and_named(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    answer = await api.post("/executions", json={"reason": "a new prompt", "tags": {"commit": "0f3d5a1"}})
    assert answer.status_code == 202, answer.text
    (execution,) = evaluated.testkube.executions
    shown = answer.json()
    assert (shown["executionId"], shown["startedBy"]) == (execution["id"], "Service")
    assert (shown["reason"], shown["tags"]) == ("a new prompt", {"commit": "0f3d5a1"})
    assert answer.headers["Location"] == shown["links"]["self"]
    found = await until(lambda: api.get("/executions"), lambda listed: listed.json()["items"])
    assert [row["executionId"] for row in found.json()["items"]] == [execution["id"]]


async def test_with_the_same_key_it_is_the_same_one(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    async def ask(key: str) -> str:
        answer = await until(
            lambda: api.post("/executions", headers={"Idempotency-Key": key}),
            lambda answer: answer.status_code != 409,  # the caches are behind
        )
        assert answer.status_code == 202
        return str(answer.json()["executionId"])

    first = set(await asyncio.gather(*(ask("build-1742") for _ in range(4)))) | {await ask("build-1742")}
    assert len(first) == 1
    await evaluated.is_ready("False", "TemplateMissing")  # which does not undo what was started
    assert {await ask("build-1742")} == first
    await evaluated.is_ready()
    other = await ask("build-1743")
    assert {each["id"] for each in evaluated.testkube.executions} == first | {other}


async def test_without_a_key_each_is_a_new_one(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    for _ in range(2):
        assert (await api.post("/executions")).status_code == 202
    assert len(evaluated.testkube.executions) == 2


async def test_with_wait_the_answer_has_the_verdict(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    asked = asyncio.create_task(api.post("/executions", params={"wait": "60s"}))
    (execution,) = await until(lambda: evaluated.testkube.executions, len)
    evaluated.testkube.upload(execution, scores(1.0, 0.2))
    evaluated.testkube.set_status(execution, "passed")
    await evaluated.follow(execution)
    answer = await asked
    assert (answer.status_code, answer.json()["verdict"]) == (200, "Failed")


async def test_nobody_waits_longer_than_asked(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    answer = await api.post("/executions", params={"wait": "1s"})
    assert (answer.status_code, answer.json()["verdict"]) == (202, None)
    assert len(evaluated.testkube.executions) == 1


async def test_one_that_is_not_ready_is_not_executed(api: httpx.AsyncClient, evaluated: Evaluated, caches: Any) -> None:
    await evaluated.is_ready("False", "TemplateMissing")
    answer = await until(lambda: api.post("/executions"), lambda answer: answer.status_code == 409)
    assert _kind(answer) == (409, "ExperimentNotReady")
    assert "It is not Ready: TemplateMissing: TemplateMissing, it says." in answer.json()["detail"]
    # What this process has not heard of yet, the worker knows.
    obj = caches.get(evaluated.world.ref())
    obj["status"]["conditions"][0]["status"] = "True"
    answer = await api.post("/executions")
    assert (_kind(answer), "It is not Ready" in answer.json()["detail"]) == ((409, "ExperimentNotReady"), True)


@pytest.mark.parametrize("way", ["suspended", "deleted"])
async def test_one_that_is_suspended_or_being_deleted_is_not_executed(
    api: httpx.AsyncClient, evaluated: Evaluated, way: str
) -> None:
    kube, ref = evaluated.world.kube, evaluated.world.ref()
    if way == "suspended":
        await evaluated.world.edit(suspend=True)
        await evaluated.is_ready(generation=2)
    else:
        await kube.merge_patch(ref, {"metadata": {"finalizers": ["tests/held"]}})
        await kube.delete(ref, uid=evaluated.target.uid)
    answer = await until(lambda: api.post("/executions"), lambda answer: answer.status_code == 409)
    assert answer.json()["detail"].endswith("It is suspended." if way == "suspended" else "It is being deleted.")
    if way == "deleted":
        await kube.merge_patch(ref, {"metadata": {"finalizers": None}})


async def test_while_testkube_is_away_it_goes_on_trying(
    api: httpx.AsyncClient, evaluated: Evaluated, monkeypatch: Any
) -> None:
    monkeypatch.setattr("api.executions.requests._START_SECONDS", 1)
    evaluated.testkube.trouble = "away"
    answer = await api.post("/executions", headers={"Idempotency-Key": "build-1742"})
    assert _kind(answer) == (503, "ExecutionNotStarted")
    assert int(answer.headers["Retry-After"]) > 0
    assert "Idempotency-Key: build-1742" in answer.json()["detail"]
    evaluated.testkube.trouble = ""
    repeated = await until(
        lambda: api.post("/executions", headers={"Idempotency-Key": "build-1742"}),
        lambda answer: answer.status_code == 202,
    )
    assert [each["id"] for each in evaluated.testkube.executions] == [repeated.json()["executionId"]]


async def test_where_nobody_knows_testkube_it_says_so(serve: Callable[..., Any]) -> None:
    async with serve(url="") as api:
        for answer in (await api.post("/executions"), await api.post("/executions/0123/abort")):
            assert _kind(answer) == (501, "TestkubeNotConfigured")


async def test_without_temporal_it_is_to_be_asked_again_later(
    serve: Callable[..., Any], evaluated: Evaluated, temporal_away: Client
) -> None:
    async with serve(temporal_away) as api:
        assert _kind(await api.post("/executions")) == (503, "TemporalUnavailable")
    assert evaluated.testkube.executions == []


@pytest.mark.parametrize(
    ("headers", "params", "body", "parameter"),
    [
        ({}, {}, {"reason": "two\nlines"}, "body.reason"),
        ({}, {}, {"reasons": "misspelt"}, "body.reasons"),
        ({}, {}, {"tags": {"experiment-operator-request": "mine"}}, "body.tags"),
        ({}, {}, {"tags": {"a b": "c"}}, "body.tags"),
        ({}, {}, {"tags": {"a": "x" * 201}}, "body.tags"),
        ({}, {"wait": "61s"}, {}, "query.wait"),
        ({"Idempotency-Key": ""}, {}, {}, "header.idempotency-key"),
        ({"Idempotency-Key": "x" * 256}, {}, {}, "header.idempotency-key"),
        ({"Idempotency-Key": "ü".encode()}, {}, {}, "header.idempotency-key"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    api: httpx.AsyncClient, headers: Any, params: Any, body: Any, parameter: str
) -> None:
    answer = await api.post("/executions", headers=headers, params=params, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0].lower().startswith(parameter)
