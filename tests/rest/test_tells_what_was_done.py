"""The history of an Experiment: what each run was for, what it came to and what it changed, newest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from urllib.parse import quote
from uuid import uuid4

from experiments.plan import Step


async def test_a_completed_run_tells_why_and_what_it_changed(runs, target, history_of):
    runs.plan(target.name, Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW)
    run_id = await runs.finish(target, "generation 3")
    [run] = await history_of(target, 1)
    assert (run["runId"], run["uid"]) == (run_id, target.uid)
    assert (run["status"], run["outcome"]) == ("Completed", "Reconciled")
    assert run["reasons"] == ["generation 3"]
    assert run["changes"] == [f"did {step} on {target.name}" for step in ("apply_config_map", "apply_test_workflow")]
    assert run["message"] == "The cluster is as the Experiment says."
    started, closed = (datetime.fromisoformat(run[key]) for key in ("startTime", "closeTime"))
    assert run["durationSeconds"] == (closed - started).total_seconds() > 0
    workflow = quote(target.workflow_id, safe="")
    assert run["temporalUrl"].endswith(f":8233/namespaces/default/workflows/{workflow}/{run_id}/history")


async def test_a_failed_run_tells_what_only_a_person_can_cure(runs, target, history_of):
    runs.plan(target.name, Step.APPLY_CONFIG_MAP, problem=("InvalidSchedule", "No scheduler takes 61 * * * *."))
    await runs.finish(target, "generation 3")
    [run] = await history_of(target, 1)
    assert (run["status"], run["outcome"]) == ("Failed", "InvalidSchedule")
    assert run["message"] == "No scheduler takes 61 * * * *."
    assert run["reasons"] == ["generation 3"]
    assert run["changes"] == [f"did apply_config_map on {target.name}"]


async def test_an_open_run_is_running(runs, target, history_of):
    runs.plan(target.name, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(target, "generation 3")
    [run] = await history_of(target, 1)
    assert (run["status"], run["outcome"], run["reasons"]) == ("Running", "Running", ["generation 3"])
    assert run["closeTime"] is run["durationSeconds"] is None
    await handle.terminate()


async def test_a_terminated_run_tells_the_reason(runs, target, history_of):
    runs.plan(target.name, problem=("GatewayMissing", "There is no AiGateway."))
    handle = await runs.start(target, "generation 3")
    await handle.terminate(reason="the cluster is being moved")
    [run] = await history_of(target, 1)
    assert (run["outcome"], run["message"]) == ("Terminated", "the cluster is being moved")
    assert run["reasons"] == ["generation 3"]


async def test_newest_come_first_also_across_objects_of_one_name(runs, target, history_of):
    """The Experiment does not exist (any more): its history is still there."""
    runs.plan(target.name)
    successor = replace(target, uid=str(uuid4()))
    ids = [await runs.finish(t, why) for t, why in ((target, "one"), (target, "deleted"), (successor, "two"))]
    listed = await history_of(target, 3)
    assert [run["runId"] for run in listed] == ids[::-1]
    assert [run["uid"] for run in listed] == [successor.uid, target.uid, target.uid]
    assert [run["reasons"] for run in listed] == [["two"], ["deleted"], ["one"]]
    assert [run["runId"] for run in await history_of(target, 2, limit=2)] == ids[:0:-1]


async def test_runs_of_others_are_left_out(runs, target, history_of):
    longer = replace(target, name=f"{target.name}-2")
    elsewhere = replace(target, namespace="default-2")
    for other in (longer, elsewhere, target):
        runs.plan(other.name)
        await runs.finish(other, "generation 1")
    assert [len(await history_of(t, 1)) for t in (longer, elsewhere, target)] == [1, 1, 1]


async def test_no_history_is_an_empty_list_where_the_experiment_exists(api, create, namespace):
    await create("weather")
    answer = await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/reconciliations")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "nextCursor": None, "counts": {}})


async def test_no_history_of_an_unknown_experiment_is_not_found(api, namespace):
    answer = await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/reconciliations")
    assert answer.status_code == 404
