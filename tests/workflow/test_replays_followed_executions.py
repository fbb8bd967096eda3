"""Runs that follow executions stay open as long as these run: newer code has to go the way they went so far.

`histories/executions/` holds what they look like; test_replays_saved_histories.py says what to do where one does not
replay any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from experiments.contract import Target
from experiments.evaluation import Counts
from experiments.executions import (
    LOOK_AT_EXECUTION,
    NOT_READY,
    READ_SCORES,
    REQUEST_EXECUTION,
    WRITE_EXECUTE_AT,
    WRITE_EXECUTION,
    ExecuteAt,
    ExecutionReport,
    ExecutionTarget,
    Judged,
    Seen,
    Started,
    StartRequest,
    task_queue_of_executions,
)
from support.histories import save
from support.polling import until
from temporal.executions import follower, requester
from worker.executions import FollowExecution, StartExecution
from worker.main import temporal_worker

HISTORIES = Path(__file__).parent / "histories" / "executions"
QUEUE = "follow"
RUNNING = Seen("running", number=1, started_by="Trigger", start_time="2026-11-26T09:00:00Z")
ENDED = Seen("passed", True, 1, "Trigger", "2026-11-26T09:00:00Z", "2026-11-26T09:01:00Z")
AWAY = ApplicationError("Testkube is away", type="TestkubeUnavailable")
REFUSED = ApplicationError("It is being deleted.", type=NOT_READY, non_retryable=True)

Run: TypeAlias = WorkflowHandle[Any, Any]


class Script:
    """What Testkube says, one after the other, the last for ever; an exception is raised."""

    def __init__(self, client: Client) -> None:
        self.client = client
        target = Target("sample-agents", f"weather-{uuid4().hex[:8]}", "a72ea94c")
        self.execution = ExecutionTarget(target, "weather-workflow", "6b07730dbe3694f655a52ea0")
        self.looks: list[Seen | Exception] = []
        self.judged: list[Judged | Exception] = [Judged("Passed", "2 metrics passed.", Counts(2, 2), {"recall": 1.0})]
        self.requested: list[Started | Exception] = [Started(self.execution, 1)]
        self.reports: list[ExecutionReport] = []

    def steps(self) -> list[Callable[..., Awaitable[Any]]]:
        @activity.defn(name=LOOK_AT_EXECUTION)
        async def look(_: ExecutionTarget) -> Seen:
            return _next(self.looks)

        @activity.defn(name=READ_SCORES)
        async def read(_: ExecutionTarget) -> Judged:
            return _next(self.judged)

        @activity.defn(name=WRITE_EXECUTION)
        async def write(report: ExecutionReport) -> str:
            self.reports.append(report)
            return "written"

        @activity.defn(name=REQUEST_EXECUTION)
        async def request(_: StartRequest) -> Started:
            return _next(self.requested)

        @activity.defn(name=WRITE_EXECUTE_AT)
        async def note(_: ExecuteAt) -> str:
            return "noted"

        return [look, read, write, request, note]

    async def follow(self) -> Run:
        await follower(self.client, QUEUE)(self.execution)
        return self.client.get_workflow_handle(self.execution.workflow_id)

    async def request(self, **more: Any) -> Run:
        return await requester(self.client, QUEUE)(StartRequest(self.execution.target, "key", **more))


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


async def passed(script: Script) -> Run:
    script.looks = [RUNNING, ENDED]
    run = await script.follow()
    await until(lambda: _nothing(script.reports))
    await script.follow()
    await run.result()
    return run


async def failed(script: Script) -> Run:
    script.looks = [ENDED]
    script.judged = [Judged("Failed", "1 of 2 metrics failed.", Counts(2, 1, 1), {"recall": 0.5})]
    return await _fails(await script.follow())


async def scores_came_late(script: Script) -> Run:
    script.looks, script.judged = [ENDED], [AWAY, AWAY, *script.judged]
    run = await script.follow()
    await run.result()
    return run


async def vanished(script: Script) -> Run:
    script.looks = [RUNNING, Seen(gone=True)]
    run = await script.follow()
    await until(lambda: _nothing(script.reports))
    await script.follow()
    return await _fails(run)


async def requested(script: Script) -> Run:
    script.looks = [ENDED]
    run = await script.request(execute_at="now")
    await run.result()
    return run


async def refused(script: Script) -> Run:
    script.requested = [REFUSED]
    return await _fails(await script.request(execute_at="now"))


async def _fails(run: Run) -> Run:
    with pytest.raises(WorkflowFailureError):
        await run.result()
    return run


async def _nothing(reports: list[ExecutionReport]) -> list[ExecutionReport]:
    return reports


KINDS = {kind.__name__: kind for kind in (passed, failed, scores_came_late, vanished, requested, refused)}


@pytest.fixture
async def script(env: WorkflowEnvironment) -> AsyncIterator[Script]:
    made = Script(env.client)
    workflows, queue = [FollowExecution, StartExecution], task_queue_of_executions(QUEUE)
    async with temporal_worker(env.client, made.steps(), workflows, task_queue=queue, sandbox=True):
        yield made


@pytest.fixture
def replayer() -> Replayer:
    return Replayer(workflows=[FollowExecution, StartExecution], data_converter=pydantic_data_converter)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_followed_today_replays(
    script: Script, replayer: Replayer, request: pytest.FixtureRequest, kind: str
) -> None:
    history = await (await KINDS[kind](script)).fetch_history()
    if request.config.getoption("--record-histories"):
        HISTORIES.mkdir(exist_ok=True)
        save(HISTORIES / f"{kind}.json", history)
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_followed_then_replays(replayer: Replayer, kind: str) -> None:
    saved = (HISTORIES / f"{kind}.json").read_text()
    await replayer.replay_workflow(WorkflowHistory.from_json(kind, saved))
