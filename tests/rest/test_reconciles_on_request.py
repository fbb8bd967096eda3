"""Somebody asks for a run now: it is begun, or the open one is woken, and the answer can wait for its end."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from experiments.contract import Target
from experiments.plan import Step
from support.polling import until


@pytest.fixture
async def weather(create, namespace, runs):
    """An Experiment whose runs have a ConfigMap to apply."""
    name = f"weather-{uuid4().hex[:8]}"
    obj = await create(name)
    runs.plan(name, Step.APPLY_CONFIG_MAP)
    return Target(namespace, name, obj["metadata"]["uid"])


@pytest.fixture
def url(weather):
    return f"/api/v1/namespaces/{weather.namespace}/experiments/{weather.name}/reconciliations"


async def test_the_answer_names_the_run_at_once(api, url, weather):
    answer = await api.post(url, json={"reason": "a new judge"})
    assert answer.status_code == 202
    run = answer.json()
    assert (run["uid"], run["reasons"]) == (weather.uid, ["requested: a new judge"])
    assert answer.headers["Location"] == f"{url}/{run['runId']}"

    async def ended():
        shown = (await api.get(answer.headers["Location"])).json()
        return shown if shown["status"] != "Running" else None

    assert (await until(ended))["outcome"] == "Reconciled"


async def test_with_wait_the_answer_is_the_run_that_has_ended(api, url, weather):
    answer = await api.post(url, params={"wait": "30s"}, json={"reason": "a new judge"})
    assert answer.status_code == 200
    run = answer.json()
    assert (run["status"], run["outcome"]) == ("Completed", "Reconciled")
    assert (run["reasons"], run["changes"]) == (["requested: a new judge"], [f"did apply_config_map on {weather.name}"])


async def test_a_run_that_fails_has_ended_too(api, url, weather, runs):
    runs.plan(weather.name, problem=("InvalidSchedule", "No scheduler takes 61 * * * *."))
    answer = await api.post(url, params={"wait": "30s"})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "InvalidSchedule")


async def test_nobody_waits_longer_than_asked(api, url, weather, runs):
    runs.plan(weather.name, problem=("GatewayMissing", "There is no AiGateway."))
    answer = await api.post(url, params={"wait": "1s"})
    assert (answer.status_code, answer.json()["status"]) == (202, "Running")
    await runs.end(weather)


async def test_an_open_run_is_woken_rather_than_doubled(api, url, weather, runs):
    runs.plan(weather.name, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(weather, "generation 3")
    runs.plan(weather.name, Step.APPLY_CONFIG_MAP)
    run = (await api.post(url, params={"wait": "30s"}, json={"reason": "it is there now"})).json()
    assert run["runId"] == handle.result_run_id
    assert run["reasons"] == ["generation 3", "requested: it is there now"]


async def test_who_asks_again_gets_the_run_that_is_still_open(api, url, weather, runs):
    runs.plan(weather.name, problem=("GatewayMissing", "There is no AiGateway."))
    first, again = [(await api.post(url, json={"reason": "a new judge"})).json() for _ in range(2)]
    assert (first["runId"], first["reasons"]) == (again["runId"], again["reasons"])
    await runs.end(weather)


@pytest.mark.parametrize("body", [None, {}, {"reason": ""}])
async def test_a_reason_is_not_needed(api, url, body):
    answer = await api.post(url, json=body)
    assert (answer.status_code, answer.json()["reasons"]) == (202, ["requested"])


@pytest.mark.parametrize(
    ("params", "body", "parameter"),
    [
        ({}, {"reason": "x" * 201}, "body.reason"),
        ({}, {"reason": "two\nlines"}, "body.reason"),
        ({}, {"reason": "\x1b[31mred"}, "body.reason"),
        ({}, {"reasons": ["misspelt"]}, "body.reasons"),
        ({"wait": "61s"}, {}, "query.wait"),
        ({"wait": "30"}, {}, "query.wait"),
        ({"wait": "0s"}, {}, "query.wait"),
    ],
)
async def test_what_makes_no_sense_is_refused(api, url, params, body, parameter):
    answer = await api.post(url, params=params, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith(f"{parameter}: ")


async def test_an_experiment_that_does_not_exist_cannot_be_reconciled(api, url):
    answer = await api.post(url.replace("weather-", "another-"))
    assert answer.status_code == 404


async def test_without_temporal_it_is_to_be_asked_again_later(serve, caches, temporal_away, url):
    async with serve(caches, temporal_away) as api:
        answer = await api.post(url)
    assert (answer.status_code, answer.json()["title"]) == (503, "Temporal does not answer")
    assert int(answer.headers["Retry-After"]) > 0


async def test_nothing_waits_for_a_client_that_has_gone(caches, temporal, url, weather, runs):
    runs.plan(weather.name, problem=("GatewayMissing", "There is no AiGateway."))
    app = create_app(caches, temporal, Everybody(), ApiConfig(task_queue="rest"))
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(_):
        pass

    scope = {
        "type": "http", "method": "POST", "path": urlsplit(url).path, "query_string": b"wait=60s", "headers": [],
        "http_version": "1.1", "scheme": "http", "server": ("api", 80), "root_path": "",
    }  # fmt: skip
    before = asyncio.all_tasks()
    async with asyncio.timeout(30):
        await app(scope, receive, send)
    assert not [task for task in asyncio.all_tasks() - before if "/api/" in str(task)]
    await runs.end(weather)
