"""After `stop_executions` nothing of the TestWorkflow runs, or it says that it could not see to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from testkube.errors import NotStopped, Refused, Unavailable
from testkube.stopping import stop_executions

LONG = timedelta(seconds=30)
SHORT = timedelta(seconds=0.4)


@pytest.mark.parametrize("status", ["queued", "assigned", "starting", "scheduling", "running", "paused"])
async def test_an_execution_is_stopped_in_whatever_state_it_is(testkube, client, status):
    """The TestWorkflow itself is gone: of what it started, Testkube goes on telling by name."""
    execution = testkube.add("weather", status)
    assert await stop_executions(client, "weather", patience=LONG) == 1
    assert execution["result"]["status"] == "canceled"


async def test_only_those_of_this_workflow(testkube, client):
    other = testkube.add("weather-2", "running")
    testkube.add("weather", "passed")
    for _ in range(120):
        testkube.add("weather", "running")
    assert await stop_executions(client, "weather", patience=LONG) == 120
    assert testkube.unfinished("weather") == []
    assert testkube.unfinished("weather-2") == [other]


async def test_nothing_to_stop_takes_two_questions(testkube, client):
    assert await stop_executions(client, "never-seen", patience=LONG) == 0
    assert [request.partition(" ")[0] for request in testkube.requests] == ["GET", "POST"]


async def test_one_that_begins_meanwhile_is_stopped_too(testkube, client):
    testkube.add("weather", "running")
    original, late = client.abort_all, []

    async def abort_all(workflow):
        await original(workflow)
        if not late:
            late.append(testkube.add("weather", "assigned"))

    client.abort_all = abort_all
    assert await stop_executions(client, "weather", patience=LONG) == 2
    assert late[0]["result"]["status"] == "canceled"


async def test_an_answer_that_comes_at_the_second_attempt(testkube, client):
    testkube.add("weather", "running")
    testkube.trouble = 503
    original = client.executions

    async def executions(*which):
        try:
            return await original(*which)
        finally:
            testkube.trouble = ""

    client.executions = executions
    assert await stop_executions(client, "weather", patience=LONG) == 1


@pytest.mark.parametrize(
    ("trouble", "words"), [("away", "Server disconnected"), ("slow", "no answer in time"), (500, "database is away")]
)
async def test_testkube_away_for_longer_than_one_may_wait(testkube, client, trouble, words):
    testkube.add("weather", "running")
    testkube.trouble = trouble
    with pytest.raises(Unavailable, match=words):
        await stop_executions(client, "weather", patience=SHORT)


async def test_an_execution_that_does_not_stop_is_told(testkube, client):
    testkube.stubborn = True
    testkube.add("weather", "running")
    with pytest.raises(NotStopped, match="stop executions of weather: 1 go on, although aborted"):
        await stop_executions(client, "weather", patience=SHORT)


async def test_a_refusal_is_not_waited_on(testkube, client):
    testkube.trouble = 403
    with pytest.raises(Refused):
        await stop_executions(client, "weather", patience=LONG)
    assert len(testkube.requests) == 1
