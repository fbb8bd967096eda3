"""Every error is an RFC 9457 problem with a sentence, and none of them tells what is inside this service."""

from __future__ import annotations

import socket

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Source

_ONE = "/api/v1/namespaces/default/experiments/weather"
_ONE_DOCUMENTED = "/api/v1/namespaces/{namespace}/experiments/{name}"


def assert_problem(answer, status):
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    assert problem["detail"].endswith(".")
    return problem


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        (f"{_ONE}/reconciliations?limit=0", "query.limit"),
        (f"{_ONE}/reconciliations?limit=201", "query.limit"),
        (f"{_ONE}/reconciliations?limit=many", "query.limit"),
        (f"{_ONE}/reconciliations/no-run", "path.run_id"),
        ("/api/v1/namespaces/Default/experiments/weather", "path.namespace"),
        ("/api/v1/namespaces/default/experiments/it's", "path.name"),
        ("/api/v1/namespaces/default/experiments/it's/reconciliations", "path.name"),
    ],
)
async def test_a_bad_parameter_is_named(api, path, parameter):
    problem = assert_problem(await api.get(path), 422)
    assert problem["type"] == "tag:testbench.agentic-layer.ai,2026:InvalidRequest"
    assert problem["errors"][0].startswith(f"{parameter}: ")


async def test_an_unknown_path_and_method_are_problems_too(api):
    assert_problem(await api.get("/api/v2/experiments"), 404)
    answer = await api.delete("/api/v1/experiments")
    assert_problem(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_without_temporal_history_is_unavailable_and_experiments_are_not(
    serve, caches, temporal_away, create, namespace
):
    await create("weather")
    one = f"/api/v1/namespaces/{namespace}/experiments/weather"
    async with serve(caches, temporal_away) as api:
        for path in (f"{one}/reconciliations", f"{one}/reconciliations/7e0a6d4c-51c4-4f0a-9b5a-0a1f0f3d5a11"):
            answer = await api.get(path)
            problem = assert_problem(answer, 503)
            assert problem["type"] == "tag:testbench.agentic-layer.ai,2026:TemporalUnavailable"
            assert problem["detail"].startswith("Temporal, which keeps the history, does not answer")
            assert int(answer.headers["Retry-After"]) > 0
        assert (await api.get("/api/v1/experiments")).status_code == 200
        assert (await api.get(one)).status_code == 200


async def test_a_temporal_that_hangs_is_not_waited_for_long(serve, caches, monkeypatch):
    monkeypatch.setattr("api.reconciliations.visibility._TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        address = f"127.0.0.1:{hanging.getsockname()[1]}"
        temporal = await Client.connect(address, lazy=True, data_converter=pydantic_data_converter)
        async with serve(caches, temporal) as api:
            problem = assert_problem(await api.get(f"{_ONE}/reconciliations"), 503)
    assert problem["detail"].endswith("does not answer: nothing within 0.2 s.")


async def test_a_defect_shows_nothing_of_the_inside(serve, kube, temporal):
    class Broken(Caches):
        @property
        def synced(self):
            raise AssertionError("the inside")

    async with serve(Broken(kube, [Source(EXPERIMENT)]), temporal) as api:
        answer = await api.get("/api/v1/experiments")
    assert_problem(answer, 500)
    assert "inside" not in answer.text
    assert "Traceback" not in answer.text


async def test_the_api_page_documents_each_operation_and_its_errors(api):
    document = (await api.get("/openapi.json")).json()
    assert (await api.get("/docs")).status_code == 200
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        assert operation["summary"]
        errors = [answer for status, answer in operation["responses"].items() if status >= "400"]
        assert all(list(answer["content"]) == ["application/problem+json"] for answer in errors)
    one = document["paths"][_ONE_DOCUMENTED]["get"]
    assert set(one["responses"]) == {"200", "304", "401", "403", "404", "422", "503"}
