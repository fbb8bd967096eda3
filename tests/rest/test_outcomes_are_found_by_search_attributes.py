"""Where runs have search attributes, Temporal itself finds and counts them by what they came to; older runs stay."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from temporalio.client import WorkflowFailureError

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from experiments.contract import Urgency, WakeSignal
from experiments.plan import Step
from support.polling import until
from temporal.client import starter

_INVALID = ("InvalidSchedule", "No scheduler takes 61 * * * *.")


@pytest.fixture
async def api(caches, temporal):
    """Told that Temporal's namespace has them, as that of every local stack."""
    app = create_app(caches, temporal, Everybody(), ApiConfig(task_queue="rest", search_attributes=True))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        yield client


@pytest.fixture
def finish(runs, temporal, target):
    """`await finish(reason, …)`: a run with search attributes, from its start to its end."""
    start = starter(temporal, "rest", search_attributes=True)

    async def run(reason, *steps, problem=None, news=True):
        runs.plan(target.name, *steps, problem=problem, news=news)
        run_id = await start(target, WakeSignal([reason]), Urgency.CHANGED)
        with suppress(WorkflowFailureError):
            await temporal.get_workflow_handle(target.workflow_id, run_id=run_id).result()
        return run_id

    return run


@pytest.fixture
async def past(runs, target, finish, listed):
    """Runs by what they came to, newest last; the first began before there were search attributes."""
    runs.plan(target.name, Step.APPLY_CONFIG_MAP)
    ids = [
        await runs.finish(target, "generation 1"),
        await finish("generation 2", Step.APPLY_CONFIG_MAP),
        await finish("TestTrigger deleted", news=False),
        await finish("generation 3", problem=_INVALID),
    ]

    async def known():
        page = await listed(limit=1)
        return page["counts"] == {"Completed": 1, "Reconciled": 1, "Unchanged": 1, "InvalidSchedule": 1}

    await until(known)
    return ids


@pytest.fixture
def listed(api, target):
    async def page(**query):
        url = f"/api/v1/namespaces/{target.namespace}/experiments/{target.name}/reconciliations"
        answer = await api.get(url, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return page


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        ("Reconciled", [1, 0]),
        ("Unchanged", [2]),
        ("InvalidSchedule", [3]),
        ("Completed", [2, 1, 0]),
        ("Suspended", []),
    ],
)
async def test_a_filter_finds_runs_of_either_time(past, listed, outcome, found):
    page = await listed(outcome=outcome)
    assert [run["runId"] for run in page["items"]] == [past[number] for number in found]


async def test_those_that_came_to_something_else_are_not_looked_at(past, listed, monkeypatch):
    """A page may look at one run, and that is not the newest, which is Unchanged."""
    monkeypatch.setattr("api.reconciliations.pages._MAX_RUNS_READ_FOR_A_PAGE", 1)
    page = await listed(outcome="Reconciled")
    assert [run["runId"] for run in page["items"]] == [past[1]]
