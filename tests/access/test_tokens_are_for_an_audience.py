"""With API_TOKEN_AUDIENCES the api takes tokens that are for it, and none that would open the API server as well."""

from __future__ import annotations

import pytest

from api.auth.kubernetes import ByKubernetes
from experiment_operator.settings import Api

_AUDIENCES = ("experiments", "dashboards")


@pytest.fixture(scope="module")
async def ask(people, cluster, kube, serve):
    """`await ask("experiments", audiences)`: the status for a token for the first, of an api with the others."""
    await people.add("caller", ("*", "get list"))

    async def status(audience, audiences):
        own = [f"--audience={audience}"] if audience else []
        token = await cluster.kubectl("create", "token", "caller", "-n", people.home, *own)
        async with serve(ByKubernetes(kube, audiences)) as api:
            answer = await api.get("/api/v1/experiments", headers={"Authorization": f"Bearer {token.strip()}"})
            return answer.status_code

    return status


@pytest.mark.parametrize("audience", _AUDIENCES)
async def test_a_token_for_one_of_them_is_taken(ask, audience):
    assert await ask(audience, _AUDIENCES) == 200


@pytest.mark.parametrize("audience", ["", "vault"])
async def test_one_for_the_api_server_or_for_somebody_else_is_not(ask, audience):
    assert await ask(audience, _AUDIENCES) == 401


async def test_without_the_setting_it_is_the_other_way_round(ask):
    assert await ask("", ()) == 200
    assert await ask("experiments", ()) == 401


def test_the_setting_is_a_list(monkeypatch):
    monkeypatch.setenv("API_TOKEN_AUDIENCES", "experiments, https://experiments.example.com")
    assert Api().api_token_audiences == ("experiments", "https://experiments.example.com")
    monkeypatch.setenv("API_TOKEN_AUDIENCES", "")
    assert Api().api_token_audiences == ()
