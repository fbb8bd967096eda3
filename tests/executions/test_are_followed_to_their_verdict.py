"""An execution is followed by a Temporal workflow of its own, which ends with its verdict, as the status does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from experiments.executions import ExecutionResult
from support.evaluated import Evaluated, scores
from support.polling import until
from support.testkube import EVALUATED


async def _ended(evaluated: Evaluated, execution: Any, status: str = "passed") -> Any:
    """How the run that follows it ends, once Testkube says that it has ended: a result, or the error."""
    evaluated.testkube.set_status(execution, status)
    run = await evaluated.follow(execution)
    try:
        return await evaluated.temporal.get_workflow_handle(run.id, result_type=ExecutionResult).result()
    except WorkflowFailureError as failure:
        return failure.cause


async def test_the_status_says_what_runs_and_what_came_of_it(evaluated: Evaluated) -> None:
    actor = {"interface": {"type": "internal"}, "actor": {"name": "weather-trigger", "type": "testtrigger"}}
    execution = evaluated.execution("assigned", runningContext=actor)
    await evaluated.follow(execution)
    assigned = await until(evaluated.last)
    assert {key: assigned[key] for key in ("executionId", "executionNumber", "status", "startedBy", "summary")} == {
        "executionId": execution["id"],
        "executionNumber": 1,
        "status": "assigned",
        "startedBy": "Trigger",
        "summary": "assigned",
    }
    evaluated.testkube.set_status(execution, "running")
    await evaluated.follow(execution)
    await until(evaluated.last, lambda last: last["status"] == "running")
    evaluated.testkube.upload(execution, scores(1.0, 0.95))
    await _ended(evaluated, execution)
    last = await evaluated.last()
    assert last["metrics"] == {"total": 2, "passed": 2, "failed": 0, "errored": 0}
    assert (last["status"], last["verdict"], last["summary"]) == ("passed", "Passed", "Passed 2/2")
    assert last["startTime"] <= last["endTime"]
    said = await evaluated.said()
    assert said["Evaluated"] == ("True", "Passed", "Execution 1: 2 metrics passed.")
    assert said["ExecutionsObserved"][:2] == ("True", "TestkubeAnswers")
    assert said["Ready"][:2] == ("True", "Reconciled")


async def test_a_run_that_passed_has_its_scores_as_result_and_in_its_memo(evaluated: Evaluated) -> None:
    execution = evaluated.execution()
    evaluated.testkube.upload(execution, scores(1.0, 0.95))
    result = await _ended(evaluated, execution)
    assert (result.judged.verdict, result.judged.by_metric) == ("Passed", {"m0": 1.0, "m1": 0.95})
    assert [(each.scenario, each.metric, each.score) for each in result.judged.scores] == [
        ("rain", "m0", 1.0),
        ("rain", "m1", 0.95),
    ]
    run = await (await evaluated.follow(execution)).describe()
    memo = await run.memo()
    assert (memo["verdict"], memo["by_metric"]) == ("Passed", {"m0": 1.0, "m1": 0.95})


@pytest.mark.parametrize(
    ("content", "verdict", "summary"),
    [
        (scores(1.0, 0.2), "Failed", "Failed 1/2"),
        (scores(1.0, None), "Errored", "Errored 1/2"),
        (scores(1.0, 1.0, answer="ERROR: HTTP Error 503"), "Errored", "Errored 0/2"),
        (b"nonsense", "NotEvaluated", "NotEvaluated"),
    ],
    ids=["missed", "a metric without score", "no answer", "nonsense"],
)
async def test_one_that_testkube_calls_passed_need_not_have_passed(
    evaluated: Evaluated, content: Any, verdict: str, summary: str
) -> None:
    execution = evaluated.execution()
    evaluated.testkube.upload(execution, content)
    failure = await _ended(evaluated, execution)
    assert failure.type == verdict
    assert (await evaluated.last())["summary"] == summary
    assert (await evaluated.said())["Evaluated"][:2] == ("False", verdict)
    run = await (await evaluated.follow(execution)).describe()
    assert run.status == WorkflowExecutionStatus.FAILED


@pytest.mark.parametrize("status", ["passed", "failed", "aborted", "canceled"])
async def test_without_scores_it_says_why(evaluated: Evaluated, status: str) -> None:
    failure = await _ended(evaluated, evaluated.execution(), status)
    assert failure.type == "NotEvaluated"
    said = (await evaluated.said())["Evaluated"]
    assert said[1] == "NotEvaluated"
    assert status in said[2] or EVALUATED in said[2]


async def test_one_that_cannot_begin_says_what_testkube_says(evaluated: Evaluated) -> None:
    execution = evaluated.execution()
    execution["result"]["initialization"]["errorMessage"] = "Cannot fetch \x1b[1mtemplate\x1b[0m"
    failure = await _ended(evaluated, execution, "aborted")
    assert failure.message == "It was aborted before there were scores: Cannot fetch template"


async def test_the_status_stays_with_the_newest(evaluated: Evaluated) -> None:
    """The older is still going when the newer begins; its verdict is that of the last one that has ended."""
    older, newer = evaluated.execution(), evaluated.execution()
    older["scheduledAt"] = "2026-11-26T08:00:00Z"
    for execution in (older, newer):
        await evaluated.follow(execution)
    await until(evaluated.last, lambda last: last.get("executionNumber") == 2)
    evaluated.testkube.upload(older, scores(1.0))
    await _ended(evaluated, older)
    assert ((await evaluated.last())["executionNumber"], (await evaluated.last()).get("verdict")) == (2, None)
    assert (await evaluated.said())["Evaluated"] == ("True", "Passed", "Execution 1: 1 metric passed.")
    evaluated.testkube.upload(newer, scores(0.1))
    await _ended(evaluated, newer)
    assert (await evaluated.said())["Evaluated"][1] == "Failed"
    much_older = evaluated.execution(scheduledAt="2026-11-25T08:00:00Z")
    evaluated.testkube.upload(much_older, scores(1.0))
    await _ended(evaluated, much_older)
    assert (await evaluated.said())["Evaluated"][1] == "Failed"


async def test_a_testkube_that_is_away_is_waited_for(evaluated: Evaluated) -> None:
    execution = evaluated.execution()
    await evaluated.follow(execution)
    await until(evaluated.last)
    evaluated.testkube.trouble = 503
    evaluated.testkube.set_status(execution, "passed")
    evaluated.testkube.upload(execution, scores(1.0))
    run = await evaluated.follow(execution)
    await until(run.describe, lambda told: told.raw_description.pending_activities)
    evaluated.testkube.trouble = ""
    await run.result()
    assert (await evaluated.last())["verdict"] == "Passed"


async def test_one_that_vanishes_is_reported_as_far_as_it_is_known(evaluated: Evaluated) -> None:
    execution = evaluated.execution()
    run = await evaluated.follow(execution)
    await until(evaluated.last)
    evaluated.testkube.executions.remove(execution)
    await evaluated.follow(execution)
    with pytest.raises(WorkflowFailureError) as failure:
        await run.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == "NotEvaluated"
    last = await evaluated.last()
    assert (last["status"], last.get("endTime"), last["verdict"]) == ("running", None, "NotEvaluated")


async def test_one_that_never_was_is_never_reported(evaluated: Evaluated) -> None:
    run = await evaluated.follow({"id": "0" * 24})
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert await evaluated.last() == {}


async def test_one_of_a_deleted_experiment_is_followed_to_its_end(evaluated: Evaluated) -> None:
    execution = evaluated.execution()
    await evaluated.follow(execution)
    await until(evaluated.last)
    await evaluated.world.kube.delete(evaluated.world.ref(), uid=evaluated.target.uid)
    evaluated.testkube.upload(execution, scores(1.0))
    assert (await _ended(evaluated, execution)).judged.verdict == "Passed"


async def test_whoever_sees_it_how_often_it_is_followed_once(evaluated: Evaluated) -> None:
    execution = evaluated.execution("passed")
    evaluated.testkube.upload(execution, scores(1.0))
    runs = await asyncio.gather(*(evaluated.follow(execution) for _ in range(10)))
    await runs[0].result()
    await evaluated.follow(execution)
    listed = [run async for run in evaluated.temporal.list_workflows(f"WorkflowId = '{runs[0].id}'")]
    assert len(listed) == 1
