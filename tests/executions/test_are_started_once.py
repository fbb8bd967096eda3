"""However often a request is repeated, and whatever is killed in between, it comes to one execution."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from experiments.executions import Started, StartRequest
from support.evaluated import Evaluated
from support.polling import until


async def _refusal(run: Any) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as failure:
        await run.result()
    assert isinstance(failure.value.cause, ApplicationError)
    return failure.value.cause


async def test_one_is_started_and_followed(evaluated: Evaluated) -> None:
    started: Started = await (await evaluated.request("a", reason="release 1.2", tags={"commit": "abc"})).result()
    (execution,) = evaluated.testkube.executions
    assert (started.execution.id, started.number) == (execution["id"], 1)
    assert execution["tags"]["commit"] == "abc"
    assert execution["tags"]["experiment-operator-reason"] == "release 1.2"
    last = await until(evaluated.last)
    assert (last["executionId"], last["startedBy"]) == (execution["id"], "Service")


async def test_a_request_that_is_repeated_starts_no_other(evaluated: Evaluated) -> None:
    runs = await asyncio.gather(*(evaluated.request("a") for _ in range(5)))
    ids = {(await run.result()).execution.id for run in runs}
    ids.add((await (await evaluated.request("a")).result()).execution.id)
    assert ids == {each["id"] for each in evaluated.testkube.executions}
    assert len(ids) == 1
    await (await evaluated.request("b")).result()
    assert len(evaluated.testkube.executions) == 2


async def test_what_an_earlier_attempt_has_started_without_saying_so_is_found(evaluated: Evaluated) -> None:
    """As after a worker that was killed, or an answer that was lost: Testkube has it, and nobody was told."""
    handle = await evaluated.request("a")
    first = (await handle.result()).execution.id
    await evaluated.temporal.get_workflow_handle(handle.id).describe()
    digest = evaluated.testkube.executions[0]["tags"]["experiment-operator-request"]
    evaluated.testkube.executions.clear()
    other = evaluated.execution("running", tags={"experiment-operator-request": digest})
    wish = StartRequest(evaluated.target, "a")
    again = await evaluated.temporal.start_workflow(
        "StartExecution", wish, id=f"{handle.id}-again", task_queue="tests-executions", result_type=Started
    )
    found = await again.result()
    assert (found.execution.id, found.found) == (other["id"], True)
    assert found.execution.id != first
    assert len(evaluated.testkube.executions) == 1


@pytest.mark.parametrize("reason", ["TemplateMissing", "Suspended"])
async def test_one_that_is_not_ready_is_refused_with_the_reason(evaluated: Evaluated, reason: str) -> None:
    await evaluated.is_ready("False", reason)
    refusal = await _refusal(await evaluated.request("a"))
    assert refusal.type == "NotReady"
    assert f"It is not Ready: {reason}: {reason}, it says." in refusal.message
    assert evaluated.testkube.executions == []
    await evaluated.is_ready()
    await (await evaluated.request("a")).result()  # the same request may be made again
    assert len(evaluated.testkube.executions) == 1


async def test_one_that_is_being_deleted_is_refused(evaluated: Evaluated) -> None:
    held = {"metadata": {"finalizers": ["tests/held"]}}
    await evaluated.world.kube.merge_patch(evaluated.world.ref(), held)
    await evaluated.world.kube.delete(evaluated.world.ref(), uid=evaluated.target.uid)
    refusal = await _refusal(await evaluated.request("a"))
    assert refusal.message.endswith("It is being deleted.")
    await evaluated.world.kube.merge_patch(evaluated.world.ref(), {"metadata": {"finalizers": None}})
    assert (await _refusal(await evaluated.request("b"))).message.endswith("It does not exist any more.")
    assert evaluated.testkube.executions == []


async def test_a_change_that_is_still_to_be_worked_on_is_waited_for(evaluated: Evaluated) -> None:
    await evaluated.world.edit(llmAsAJudgeModel="another")
    run = await evaluated.request("a")
    await until(run.describe, lambda told: told.raw_description.pending_activities)
    assert evaluated.testkube.executions == []
    await evaluated.is_ready(generation=2)
    await run.result()
    assert len(evaluated.testkube.executions) == 1


async def test_an_annotation_is_honoured_and_noted(evaluated: Evaluated) -> None:
    await (await evaluated.request("execute-at/now", execute_at="now")).result()
    assert (await evaluated.world.status()).execute_at == "now"
    assert len(evaluated.testkube.executions) == 1


async def test_an_annotation_that_is_refused_is_noted_and_an_event_says_why(evaluated: Evaluated) -> None:
    await evaluated.is_ready("False", "Suspended")
    await _refusal(await evaluated.request("execute-at/now", execute_at="now"))
    assert (await evaluated.world.status()).execute_at == "now"
    (event,) = await until(evaluated.world.events)
    assert (event["type"], event["reason"]) == ("Warning", "ExecutionRefused")
    assert "It is not Ready: Suspended" in event["message"]
    assert evaluated.testkube.executions == []
