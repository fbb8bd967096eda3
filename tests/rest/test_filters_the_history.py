"""The history of an Experiment by what runs came to, why they began, when and for which object; and how many."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from experiments.contract import WORKFLOW_TYPE, Result, RunState, memo
from experiments.plan import Step


@pytest.fixture
def url(target):
    return f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"


@pytest.fixture
def successor(target):
    """A later object of the same name."""
    return replace(target, uid=str(uuid4()))


@pytest.fixture
async def past(runs, target, successor, history_of):
    """Runs of two objects, by what they came to; visibility knows all of them."""
    ids = {}
    runs.plan(target.name, Step.APPLY_CONFIG_MAP)
    ids["Reconciled"] = await runs.finish(target, "generation 1", "requested: a new Judge")
    runs.plan(target.name, news=False)
    ids["Unchanged"] = await runs.finish(target, "TestTrigger deleted")
    runs.plan(target.name, problem=("InvalidSchedule", "No scheduler takes 61 * * * *."))
    ids["InvalidSchedule"] = await runs.finish(target, "generation 2")
    runs.plan(target.name, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(target, "ConfigMap edited by kubectl-edit")
    await handle.terminate()
    ids["Terminated"] = handle.result_run_id
    ids["Running"] = (await runs.start(successor, "generation 1")).result_run_id
    await history_of(target, 1, outcome="Terminated")
    await history_of(target, 5)
    yield ids
    await runs.end(successor)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"outcome": "Reconciled"}, ["Reconciled"]),
        ({"outcome": "Unchanged"}, ["Unchanged"]),
        ({"outcome": "Completed"}, ["Unchanged", "Reconciled"]),
        ({"outcome": "InvalidSchedule"}, ["InvalidSchedule"]),
        ({"outcome": "Failed"}, ["InvalidSchedule"]),
        ({"outcome": "Terminated"}, ["Terminated"]),
        ({"outcome": "Running"}, ["Running"]),
        ({"outcome": "Suspended"}, []),
        ({"reason": "generation"}, ["Running", "InvalidSchedule", "Reconciled"]),
        ({"reason": "NEW jUDGE"}, ["Reconciled"]),
        ({"reason": "kubectl"}, ["Terminated"]),
        ({"reason": "generation", "outcome": "Completed"}, ["Reconciled"]),
        ({"reason": "TestTrigger deleted", "outcome": "Reconciled"}, []),
    ],
)
async def test_the_history_by_outcome_and_reason(past, history_of, target, query, expected):
    found = await history_of(target, len(expected), **query)
    assert [run["runId"] for run in found] == [past[outcome] for outcome in expected]
    assert [run["outcome"] for run in found] == expected


async def test_the_history_of_one_object(past, history_of, target, successor):
    assert [run["runId"] for run in await history_of(target, 1, uid=successor.uid)] == [past["Running"]]
    assert past["Running"] not in {run["runId"] for run in await history_of(target, 4, uid=target.uid)}
    assert await history_of(target, 0, uid=str(uuid4())) == []


@pytest.mark.usefixtures("past")
async def test_the_history_within_a_range_of_time(history_of, target, url, api):
    began = {run["outcome"]: run["startTime"] for run in await history_of(target, 5)}
    found = await history_of(target, 2, since=began["Unchanged"], until=began["Terminated"])
    assert [run["outcome"] for run in found] == ["InvalidSchedule", "Unchanged"]
    elsewhere = datetime.fromisoformat(began["Running"]).astimezone().isoformat()
    assert [run["outcome"] for run in await history_of(target, 1, since=elsewhere)] == ["Running"]
    counts = (await api.get(url, params={"since": began["Unchanged"], "until": began["Terminated"]})).json()["counts"]
    assert counts == {"Completed": 1, "Failed": 1}


@pytest.mark.usefixtures("past")
async def test_counts_are_by_status_and_of_all_that_the_range_has(api, url, successor):
    every = (await api.get(url, params={"limit": 1, "outcome": "Unchanged"})).json()["counts"]
    assert every == {"Running": 1, "Completed": 2, "Failed": 1, "Terminated": 1}
    assert (await api.get(url, params={"uid": successor.uid})).json()["counts"] == {"Running": 1}


async def test_a_filter_looks_at_so_many_runs_for_one_page_and_goes_on_with_the_next(past, api, url, monkeypatch):
    monkeypatch.setattr("api.reconciliations.pages._MAX_RUNS_READ_FOR_A_PAGE", 2)
    pages, cursor = [], {}
    while cursor != {"cursor": None}:
        page = (await api.get(url, params={"reason": "requested", **cursor})).json()
        pages.append([run["runId"] for run in page["items"]])
        cursor = {"cursor": page["nextCursor"]}
    assert pages == [[], [], [past["Reconciled"]]]


@workflow.defn(name=WORKFLOW_TYPE, sandboxed=False)
class OfAnEarlierVersion:
    """Ends without a word of it in its memo."""

    @workflow.run
    async def run(self, _: RunState) -> Result:
        return Result("CleanedUp", "Nothing is left.", 1, ["deleted"], [])


async def test_runs_that_noted_nothing_are_found_by_their_history(temporal, target, history_of):
    queue = f"earlier-{uuid4().hex[:8]}"
    workflows = [OfAnEarlierVersion]
    async with Worker(temporal, task_queue=queue, workflows=workflows, workflow_runner=UnsandboxedWorkflowRunner()):
        await temporal.execute_workflow(
            WORKFLOW_TYPE, RunState(target), id=target.workflow_id, task_queue=queue, memo=memo(target, ["requested"])
        )
    await history_of(target, 1, outcome="Completed")
    assert len(await history_of(target, 1, outcome="CleanedUp", reason="deleted")) == 1
    assert await history_of(target, 0, outcome="Reconciled") == []
    assert await history_of(target, 0, reason="requested") == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"outcome": "Reconcild"}, "query.outcome"),
        ({"outcome": ""}, "query.outcome"),
        ({"outcom": "Reconciled"}, "query.outcom"),
        ({"reason": "x" * 101}, "query.reason"),
        ({"uid": "it's"}, "query.uid"),
        ({"since": "Tuesday"}, "query.since"),
        ({"since": "2026-11-24T10:00:00"}, "query.since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "query.until"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "query.until"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(api, url, query, parameter):
    answer = await api.get(url, params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0].startswith(f"{parameter}: ")


@pytest.mark.usefixtures("past")
async def test_a_filter_that_fits_no_run_is_an_empty_page_and_not_an_unknown_name(api, url):
    answer = await api.get(url, params={"until": (datetime.now().astimezone() - timedelta(days=900)).isoformat()})
    assert (answer.status_code, answer.json()) == (200, {"items": [], "nextCursor": None, "counts": {}})
