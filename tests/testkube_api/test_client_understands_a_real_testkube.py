"""The client against what a real Testkube was recorded to answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from testkube.client import Info
from testkube.errors import NotFound, Refused, Unavailable
from testkube.executions import UNFINISHED, Execution


async def test_what_testkube_says_of_itself_is_understood(replay):
    async with replay("info") as (client, _):
        assert await client.info() == Info(version="dev", namespace="testkube", context="oss")


async def test_an_execution_that_runs_is_understood(replay):
    async with replay("executions-running") as (client, _):
        (running,) = await client.executions("quick-workflow.sample-agents", UNFINISHED)
    assert running == Execution(
        id="6b077c1a060a87c94a67f836",
        name="quick-workflow.sample-agents-1",
        number=1,
        workflow="quick-workflow.sample-agents",
        status="running",
        scheduled_at=datetime(2026, 11, 26, 0, 23, 54, 49506, UTC),
        started_at=datetime(2026, 11, 26, 0, 23, 54, 49506, UTC),
        finished_at=None,
        labels=running.labels,
        annotations=running.annotations,
    )
    assert not running.finished


async def test_what_started_an_execution_and_of_which_workflow(replay):
    async with replay("executions-list-status-bogus") as (client, _):
        (aborted,) = await client.executions("weather-workflow.sample-agents")
    assert (aborted.actor, aborted.actor_name) == ("testtrigger", "weather-trigger.sample-agents")
    assert aborted.annotations["testbench.agentic-layer.ai/experiment"] == "sample-agents/weather"


async def test_an_execution_is_found_by_a_tag(replay):
    async with replay("executions-tagselector") as (client, requests):
        found = [each async for each in client.newest("weather", {"tagSelector": "commit=0123abc"})]
    assert {each.tags["commit"] for each in found} == {"0123abc"}
    assert requests[0].query["tagSelector"] == "commit=0123abc"


async def test_an_execution_is_started_with_tags(replay, recorded):
    async with replay("execute-tags") as (client, requests):
        started = await client.start("weather", {"commit": "0123abc"})
    assert (started.id, started.number, started.status, started.finished) == (
        recorded("execute-tags")["json"]["id"],
        3,
        "assigned",
        False,
    )
    assert (requests[0].method, requests[0].path) == ("POST", "/v1/test-workflows/weather/executions")


async def test_a_workflow_that_testkube_does_not_know_cannot_be_started(replay):
    async with replay("execute-unknown-workflow") as (client, _):
        with pytest.raises(NotFound, match="not found"):
            await client.start("no-such", {})


async def test_the_phases_of_an_execution_are_found_by_name(replay):
    async with replay("gated-failed") as (client, _):
        detail = await client.execution("6b077dc8060a87c94a67f848")
    assert [(phase.name, phase.status) for phase in detail.phases] == [
        *((name, "passed") for name in ("run", "evaluate", "publish", "visualize")),
        ("gate", "failed"),
    ]
    assert all(phase.started_at < phase.finished_at for phase in detail.phases)
    assert detail.execution.status == "failed"


async def test_why_an_execution_could_not_begin_is_one_plain_line(replay):
    async with replay("execute-template-gone") as (client, _):
        detail = await client.execution("6b077d4d060a87c94a67f840")
    assert detail.error.startswith("Cannot fetch required Test Workflow Templates ")
    assert "\x1b" not in detail.error


async def test_artifacts_are_listed_also_where_there_is_none(replay):
    async with replay("gated-artifacts", "artifacts-list-none") as (client, _):
        assert [each.name for each in await client.artifacts("a")] == [
            "data/experiments/evaluated_experiment.json",
            "data/experiments/executed_experiment.json",
            "data/results/evaluation_report.html",
        ]
        assert await client.artifacts("b") == []


async def test_an_artifact_is_read_in_pieces(replay, recorded):
    async with (
        replay("artifact-evaluated-scores") as (client, requests),
        client.artifact("a", "data/x/y.json") as pieces,
    ):
        content = b"".join([piece async for piece in pieces])
    assert json.loads(content) == recorded("artifact-evaluated-scores")["json"]
    assert requests[0].path_qs == "/v1/test-workflow-executions/a/artifacts/data%2Fx%2Fy.json"


async def test_an_artifact_that_is_missing(replay):
    async with replay("artifact-missing") as (client, _):
        with pytest.raises(Unavailable):
            async with client.artifact("a", "data/x.json"):
                pass


async def test_an_execution_that_ended_before_it_began(replay):
    async with replay("executions-list-status-bogus") as (client, _):
        (aborted,) = await client.executions("weather-workflow.sample-agents")
    assert (aborted.status, aborted.started_at, aborted.finished) == ("aborted", None, True)
    assert aborted.finished_at == datetime(2026, 11, 25, 23, 45, 18, 491372, UTC)


async def test_an_execution_whose_template_is_gone_has_an_end_but_is_not_finished_yet(recorded):
    doomed = Execution.of(recorded("execute-template-gone")["json"])
    assert (doomed.status, doomed.started_at, doomed.finished) == ("assigned", None, False)
    assert doomed.finished_at == doomed.scheduled_at == datetime(2026, 11, 26, 0, 28, 51, 734818, UTC)


async def test_a_filter_that_is_ignored_is_made_up_for(replay):
    async with replay("executions-mixed-multi") as (client, requests):
        assert [each.status for each in await client.executions("weather", ["failed"])] == ["failed"]
    assert requests[0].query["status"] == "failed"


async def test_a_workflow_that_nobody_knows_has_no_executions(replay):
    async with replay("executions-list-unknown-workflow") as (client, _):
        assert await client.executions("no-such") == []


@pytest.mark.parametrize("name", ["abort-all", "abort-all-unknown-workflow"])
async def test_all_executions_of_a_workflow_are_aborted(replay, recorded, name):
    path = recorded(name)["request"]["path"]
    async with replay(name) as (client, requests):
        await client.abort_all(path.split("/")[-2])
    assert [(each.method, each.path) for each in requests] == [("POST", path)]


async def test_whether_there_is_a_workflow(replay):
    async with replay("workflow-get", "workflow-get-unknown") as (client, _):
        assert await client.has_workflow("weather-workflow.sample-agents")
        assert not await client.has_workflow("no-such")


async def test_a_request_says_who_asks(replay):
    async with replay("info") as (client, requests):
        await client.info()
    assert requests[0].headers["User-Agent"].startswith("experiment-operator/")


@pytest.mark.parametrize(
    ("name", "leaf", "words"),
    [
        ("execution-unknown-not-hex", NotFound, "get execution: client not found: rpc error: code = NotFound"),
        ("abort-finished", Refused, "checking execution: execution already finished"),
        ("execute-unknown-workflow", Unavailable, 'testworkflows.testworkflows.testkube.io "no-such" not found'),
    ],
)
async def test_a_problem_becomes_a_sentence(replay, recorded, name, leaf, words):
    async with replay(name) as (client, _):
        with pytest.raises(leaf) as raised:
            await client.abort_all("weather")
    assert (type(raised.value), raised.value.status) == (leaf, recorded(name)["status"])
    assert words in str(raised.value)
    assert "/v1/test-workflows/weather/abort: " in str(raised.value)
    assert "context: null" not in str(raised.value)


async def test_a_route_that_is_not_there_says_nothing_about_objects(replay):
    """So an address with a wrong path never makes a workflow look as if it were gone."""
    async with replay("artifact-unescaped-path") as (client, _):
        with pytest.raises(Unavailable, match="HTTP 404, and the answer is not Testkube's"):
            await client.has_workflow("weather")
