"""Who sees and does what: real tokens of ServiceAccounts, and RBAC of the real API server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from fastapi.routing import iter_route_contexts

from api.auth.kubernetes import Everybody

_OPEN = {"/healthz", "/readyz", "/openapi.json", "/docs", "/static"}
# What these show or do is not of one namespace that the path names, so each has a test of its own.
_ACROSS = {"GET /api/v1/experiments", "GET /api/v1/reconciliations", "GET /api/v1/events", "POST /api/v1/plan"}
_ACROSS |= {"GET /", "GET /trends", "GET /news"}
# It asks back before something is done.
_ASKS = "GET /experiments/{namespace}/{name}/evaluate"
_LISTS = {"GET /api/v1/namespaces/{namespace}/experiments"}


@pytest.fixture(scope="module")
def routes(application):
    """Whatever the application has, each as `GET /path/{parameter}`."""
    found = iter_route_contexts(application(Everybody()).routes)
    return {f"{method} {route.path}" for route in found for method in (route.methods or {"GET"}) - {"HEAD"}}


@pytest.fixture(scope="module")
async def staff(people, namespaces):
    a, b = namespaces
    await people.add("nobody")
    await people.add("getter", (a, "get"))
    await people.add("lister", (b, "list"))
    await people.add("reader", (a, "get list watch"))
    await people.add("writer", (a, "get list watch create update"))
    await people.add("auditor", ("*", "get list watch"))
    return people


@pytest.fixture(scope="module")
def status_of(api):
    """The status of the answer, whose body may have no end."""

    async def ask(route, namespace, headers=None):
        method, path = route.split(" ")
        values = {"namespace": namespace, "name": "weather", "run_id": "7e0a6d4c-51c4-4f0a-9b5a-0a1f0f3d5a11"}
        values |= {"execution": "6b07730dbe3694f655a52ea0", "path": "data.json"}
        json = {} if method == "POST" else None
        headers = {**(headers or {}), "Sec-Fetch-Site": "same-origin"}
        async with api.stream(method, path.replace(":path", "").format(**values), headers=headers, json=json) as answer:
            return answer.status_code

    return ask


async def test_without_a_token_only_health_and_the_api_page_answer(routes, status_of, namespaces):
    answers = {route: await status_of(route, namespaces[0]) for route in routes}
    assert {route.split(" ")[1] for route, status in answers.items() if status != 401} == _OPEN


async def test_each_route_of_a_namespace_asks_for_its_verb_there(routes, status_of, staff, namespaces):
    a, b = namespaces
    inside = {route for route in routes if "{namespace}" in route}
    assert {route for route in routes - inside if route.split(" ")[1] not in _OPEN} <= _ACROSS
    reads = {route for route in inside if route.startswith("GET ")} - {_ASKS}

    async def open_to(name, namespace):
        answers = {route: await status_of(route, namespace, staff.headers(name)) for route in inside}
        assert 401 not in answers.values()
        return {route for route, status in answers.items() if status != 403}

    assert await open_to("nobody", a) == set()
    assert await open_to("getter", a) == reads - _LISTS
    assert await open_to("lister", b) == _LISTS
    assert await open_to("reader", a) == reads
    assert await open_to("reader", b) == set()
    assert await open_to("writer", a) == inside
    assert await open_to("writer", b) == set()
    assert await open_to("auditor", a) == await open_to("auditor", b) == reads


@pytest.fixture(scope="module")
def listed(api, staff):
    async def ask(name):
        answer = await api.get("/api/v1/experiments", headers=staff.headers(name))
        assert answer.status_code == 200
        return {item["namespace"] for item in answer.json()["items"]}

    return ask


@pytest.fixture(scope="module")
def told(api, staff):
    """All that the stream tells of what there is."""

    async def follow(name):
        async with api.stream("GET", "/api/v1/events", headers=staff.headers(name)) as stream:
            lines, events = stream.aiter_lines(), []
            while "event: synced" not in events:
                events.append(await anext(lines))
        data = [json.loads(line.removeprefix("data: ")) for line in events if line.startswith("data: {")]
        return {each["namespace"] for each in data if "namespace" in each}

    return follow


@pytest.mark.parametrize("way", ["listed", "told"])
async def test_across_namespaces_one_sees_those_that_one_may_list(request, way, namespaces):
    shown, (a, b) = request.getfixturevalue(way), namespaces
    assert await shown("nobody") == await shown("getter") == set()
    assert await shown("lister") == {b}
    assert await shown("reader") == await shown("writer") == {a}
    assert await shown("auditor") >= {a, b}


async def test_planning_an_apply_needs_the_permission_to_apply(api, staff, namespaces):
    async def plan(name, namespace):
        body = {
            "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "weather", "namespace": namespace},
            "spec": {"agentRef": {"name": "weather-agent"}, "scenarios": []},
        }
        return (await api.post("/api/v1/plan", json=body, headers=staff.headers(name))).status_code

    a, b = namespaces
    assert await plan("writer", a) == 200
    assert await plan("writer", b) == await plan("reader", a) == await plan("auditor", a) == 403


async def test_a_role_of_a_group_counts(api, people, staff, namespaces):
    a, b = namespaces
    others = replace(people, home=b, tokens={})
    await others.add("member")
    team = {"kind": "Group", "name": f"system:serviceaccounts:{b}", "apiGroup": "rbac.authorization.k8s.io"}
    await others.apply(others.role("team", a, "get", team))
    url = f"/api/v1/namespaces/{a}/experiments/weather"
    assert (await api.get(url, headers=others.headers("member"))).status_code == 200
    assert (await api.get(url, headers=staff.headers("nobody"))).status_code == 403


async def test_a_refusal_says_who_may_not_do_what(api, staff, namespaces):
    answer = await api.get(f"/api/v1/namespaces/{namespaces[1]}/experiments/weather", headers=staff.headers("reader"))
    problem = answer.json()
    assert problem["type"].endswith(":NotAllowed")
    who = f"system:serviceaccount:{staff.home}:reader"
    assert problem["detail"] == f"{who} may not get Experiments in namespace {namespaces[1]}."


@pytest.mark.parametrize(
    "value", ["Bearer not-a-token", "Bearer", "Basic dXNlcjpwYXNz", "Bearer ü", "Bearer " + "x" * 9000]
)
async def test_what_is_no_token_of_this_cluster_is_a_401(api, value):
    answer = await api.get("/api/v1/experiments", headers={"Authorization": value.encode()})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"].endswith(":Unauthenticated")
