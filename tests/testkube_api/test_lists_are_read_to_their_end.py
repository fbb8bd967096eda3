"""All executions of a TestWorkflow are found, by name, also of other Testkubes than the recorded one."""

from __future__ import annotations

import pytest

from testkube.client import TestkubeClient
from testkube.executions import UNFINISHED, Execution


async def test_page_by_page_newest_first(testkube, client):
    for _ in range(250):
        testkube.add("weather", "passed")
    assert [each.number for each in await client.executions("weather")] == list(range(250, 0, -1))
    assert len(testkube.requests) == 3


async def test_a_full_last_page_ends_the_list(testkube, client):
    for _ in range(200):
        testkube.add("weather", "passed")
    assert len(await client.executions("weather")) == 200


async def test_a_server_that_ignores_the_page_is_not_asked_for_ever(testkube, client, monkeypatch):
    monkeypatch.setattr("localcluster.testkube.api._number", lambda _: 0)
    for _ in range(150):
        testkube.add("weather", "passed")
    assert len(await client.executions("weather")) == 100
    assert len(testkube.requests) == 2


async def test_executions_that_are_not_finished_are_listed(testkube, client):
    for status in ("passed", "running", "failed", "aborted", "assigned", "canceled", "paused"):
        testkube.add("weather", status)
    testkube.add("another", "running")
    assert [each.status for each in await client.executions("weather", UNFINISHED)] == ["paused", "assigned", "running"]


async def test_a_state_that_testkube_does_not_know_is_filtered_here(testkube, client, monkeypatch):
    """An older Testkube then ignores the whole filter."""
    monkeypatch.setattr("localcluster.testkube.api.STATES", ("passed", "failed", "running"))
    for status in ("passed", "running", "failed"):
        testkube.add("weather", status)
    assert [each.status for each in await client.executions("weather", UNFINISHED)] == ["running"]


async def test_a_state_that_is_not_known_here(testkube, client):
    testkube.add("weather", "hibernating", surprise={"more": [1]})
    testkube.add("weather", "expired")["result"]["finishedAt"] = "2026-11-26T00:00:00Z"
    found = {each.status: each.finished for each in await client.executions("weather")}
    assert found == {"hibernating": False, "expired": True}


async def test_what_is_missing_or_odd_is_taken_for_not_there():
    odd = {"id": "1", "number": "seven", "result": None, "workflow": [], "scheduledAt": "yesterday", "tags": 3}
    assert Execution.of(odd) == Execution("1", "", 0, "", "", None, None, None)


async def test_names_in_urls_are_quoted(testkube, client):
    testkube.add("a/b c?d%2f", "running")
    assert len(await client.executions("a/b c?d%2f", UNFINISHED)) == 1
    await client.abort_all("a/b c?d%2f")
    assert testkube.requests[-1] == "POST /v1/test-workflows/a%2Fb%20c%3Fd%252f/abort"


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
async def test_an_address_in_each_spelling(testkube, end):
    async with TestkubeClient(testkube.url + end) as client:
        assert (await client.info()).version == "simulation"
