"""The stand-in that other tests rely on answers as a real Testkube was recorded to, but for the values."""

from __future__ import annotations

import aiohttp
import pytest

_WEATHER = "weather-workflow.sample-agents"
# What is in these is not Testkube's own: the workflow's spec, labels and annotations.
_OTHERS = ("spec", "labels", "annotations", "tags")


def _mixed(testkube):
    for status in ["passed"] * 14 + ["failed"] * 3 + ["aborted"] * 12:
        testkube.set_status(testkube.add(_WEATHER, "running"), status)


def _triggered(testkube):
    context = {"interface": {"type": "internal"}, "actor": {"name": "weather-trigger", "type": "testtrigger"}}
    testkube.add(_WEATHER, "aborted", runningContext=context)


def _known(testkube):
    testkube.workflows.add(_WEATHER)


# Each recording, and what is made true before it is asked for.
RECORDINGS = {
    "info": None,
    "abort-all": lambda testkube: testkube.add("sleeper", "running"),
    "abort-all-unknown-workflow": None,
    "abort-single": lambda testkube: testkube.add("sleeper", "running", id="6b077a72060a87c94a67f820"),
    "abort-finished": lambda testkube: testkube.add(_WEATHER, "aborted", id="6b07730dbe3694f655a52ea0"),
    "abort-unknown": None,
    "executions-running": lambda testkube: testkube.add("quick-workflow.sample-agents", "running"),
    "executions-list-unknown-workflow": None,
    "executions-list-page5": lambda testkube: testkube.add(_WEATHER, "aborted"),
    "executions-list-status-bogus": _triggered,
    "executions-mixed-multi": _mixed,
    "execute-unknown-workflow": None,
    "execute-empty-body": _known,
    "execution-unknown-not-hex": None,
    "workflow-get": _known,
    "workflow-get-unknown": None,
    "artifact-unescaped-path": None,
}


@pytest.mark.parametrize("name", RECORDINGS)
async def test_the_stand_in_answers_as_recorded(testkube, recorded, name):
    told = recorded(name)
    if prepare := RECORDINGS[name]:
        prepare(testkube)
    asked = told["request"]
    body = asked["body"] if isinstance(asked["body"], str) else "{}"
    async with (
        aiohttp.ClientSession(testkube.url) as session,
        session.request(asked["method"], asked["path"], data=body.encode() or None) as response,
    ):
        assert response.status == told["status"]
        assert response.headers.get("Content-Type") == told["headers"].get("Content-Type")
        answer = await response.json() if "json" in told else await response.text()
    if response.status < 400 and "json" in told:
        assert _shape(answer) == _shape(told["json"])
    else:
        assert answer == told.get("json", told.get("text"))


async def test_the_stand_in_starts_an_execution_as_recorded(testkube, recorded):
    told = recorded("execute-template-gone")
    testkube.workflows.add(_WEATHER)
    async with (
        aiohttp.ClientSession(testkube.url) as session,
        session.post(told["request"]["path"], json={}) as response,
    ):
        answer, status = await response.json(), response.status
    shape = _shape(told["json"])
    for only_of_one_that_cannot_run in ("duration", "totalDuration"):
        del shape["result"][only_of_one_that_cannot_run]
    del shape["result"]["initialization"]["errorMessage"]
    assert (status, _shape(answer)) == (200, shape)
    assert answer["result"]["status"] == told["json"]["result"]["status"] == "assigned"


async def test_totals_are_as_wrong_as_the_real_ones(testkube, recorded):
    """Of 3 that failed and 12 that were aborted, 12."""
    _mixed(testkube)
    told = recorded("executions-mixed-multi")
    async with aiohttp.ClientSession(testkube.url) as session, session.get(told["request"]["path"]) as response:
        answer = await response.json()
    assert [answer[key] for key in ("totals", "filtered")] == [told["json"][key] for key in ("totals", "filtered")]
    assert [each["result"]["status"] for each in answer["results"]] == ["aborted"] * 3


async def test_what_is_aborted_is_canceled_soon_and_not_at_once(testkube, client):
    execution = testkube.add(_WEATHER, "running")
    await client.abort_all(_WEATHER)
    assert execution["result"]["status"] == "running"
    while await client.executions(_WEATHER, ["running"]):
        pass
    (canceled,) = await client.executions(_WEATHER)
    assert canceled.status == "canceled"
    assert canceled.finished_at


def _shape(value):
    """Keys and types; lists by their first item."""
    if isinstance(value, dict):
        return {key: None if key in _OTHERS else _shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    return type(value).__name__
