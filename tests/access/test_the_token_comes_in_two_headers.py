"""A token comes in `Authorization`, or in a header of our own, which the API server's service proxy lets pass."""

from __future__ import annotations

import pytest

_OWN = "X-Experiment-Operator-Authorization"


@pytest.fixture(scope="module")
async def bearer(people):
    await people.add("anybody")
    return f"Bearer {people.tokens['anybody']}"


@pytest.mark.parametrize(
    ("authorization", "own", "status"),
    [
        ("{}", None, 200),
        (None, "{}", 200),
        ("Basic ZG9lOmRvZQ==", "{}", 200),
        ("Bearer of-somebody-else", "{}", 200),
        ("{}", "Basic ZG9lOmRvZQ==", 200),
        ("{}", "Bearer not-a-token", 401),
        (None, "Basic ZG9lOmRvZQ==", 401),
        (None, None, 401),
    ],
)
async def test_either_header_will_do_and_our_own_comes_first(api, bearer, authorization, own, status):
    given = {"Authorization": authorization, _OWN: own}
    headers = {name: value.format(bearer) for name, value in given.items() if value}
    assert (await api.get("/api/v1/experiments", headers=headers)).status_code == status


async def test_the_api_page_says_so_for_each_protected_operation(api):
    document = (await api.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert schemes["proxied"]["name"] == _OWN
    for path, item in document["paths"].items():
        for operation in item.values():
            documented = operation.get("security", [])
            assert documented == ([{"bearer": []}, {"proxied": []}] if path.startswith("/api/") else [])
            assert ("401" in operation["responses"]) == path.startswith("/api/")
