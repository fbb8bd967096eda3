"""A request that is sent again with its `Idempotency-Key` gets the run that the first one got, and starts nothing."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from api.auth.kubernetes import User
from experiments.contract import Target
from experiments.plan import Step


@pytest.fixture
async def weather(create, namespace, runs):
    name = f"weather-{uuid4().hex[:8]}"
    obj = await create(name)
    runs.plan(name, Step.APPLY_CONFIG_MAP)
    return Target(namespace, name, obj["metadata"]["uid"])


@pytest.fixture
def ask(weather):
    """`await ask(api, key)`: a request whose run has ended, if it ends."""

    async def post(api, key, reason="a new judge", wait="30s", **headers):
        url = f"/api/v1/namespaces/{weather.namespace}/experiments/{weather.name}/reconciliations"
        return await api.post(
            url, params={"wait": wait}, json={"reason": reason}, headers={"Idempotency-Key": key, **headers}
        )

    return post


@pytest.fixture
async def replica(serve, caches, temporal):
    """Another process of the api, which knows nothing of what the first one was asked."""
    async with serve(caches, temporal) as client:
        yield client


async def test_the_same_key_is_the_same_run(api, ask, weather, history_of):
    first, again = [(await ask(api, "k")).json()["runId"] for _ in range(2)]
    other = (await ask(api, "another")).json()["runId"]
    assert first == again != other
    assert len(await history_of(weather, 2)) == 2


async def test_requests_at_the_same_time_share_one_run(api, ask, weather, history_of):
    answers = await asyncio.gather(*(ask(api, "k") for _ in range(10)))
    [run_id] = {answer.json()["runId"] for answer in answers}
    [signal] = (await api.get(answers[0].headers["Location"])).json()["signals"]
    assert signal["reasons"] == ["requested: a new judge"]
    assert [run["runId"] for run in await history_of(weather, 1)] == [run_id]


async def test_another_replica_finds_the_run_that_has_just_ended(api, ask, replica):
    first = (await ask(api, "k")).json()["runId"]
    assert (await ask(replica, "k")).json()["runId"] == first


async def test_another_replica_finds_the_run_that_is_open(api, ask, weather, replica, runs):
    runs.plan(weather.name, problem=("GatewayMissing", "There is no AiGateway."))
    first = (await ask(api, "k", wait="1s")).json()["runId"]
    again = (await ask(replica, "k", wait="1s")).json()
    assert (again["runId"], len(again["signals"])) == (first, 1)
    await runs.end(weather)


async def test_another_replica_finds_an_earlier_run(api, ask, weather, replica, history_of):
    first = (await ask(api, "k")).json()["runId"]
    await ask(api, "another")
    await history_of(weather, 2, outcome="Completed")
    assert (await ask(replica, "k")).json()["runId"] == first


async def test_a_key_with_another_reason_is_refused(api, ask, replica):
    await ask(api, "k")
    for each in (api, replica):
        answer = await ask(each, "k", reason="something else")
        assert (answer.status_code, answer.json()["type"]) == (422, "tag:testbench.agentic-layer.ai,2026:KeyReused")


async def test_a_key_belongs_to_the_one_who_chose_it(ask, caches, temporal, serve):
    class ByName:
        async def user(self, token):
            return User(token)

        async def may(self, *_):
            return True

    async with serve(caches, temporal, ByName()) as api:
        answers = [await ask(api, "k", Authorization=f"Bearer {name}") for name in ("anna", "ben", "anna")]
    anna, ben, again = (answer.json()["runId"] for answer in answers)
    assert anna == again != ben


async def test_a_key_that_could_not_be_served_is_not_used_up(api, ask, monkeypatch):
    with monkeypatch.context() as slow:
        slow.setattr("api.reconciliations.visibility._PATIENCE_SECONDS", 0)
        assert (await ask(api, "k")).status_code == 503
    assert (await ask(api, "k")).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "\u00fcmlaut".encode()])
async def test_a_key_that_makes_no_sense_is_refused(api, ask, key):
    answer = await ask(api, key)
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith("header.Idempotency-Key: ")
