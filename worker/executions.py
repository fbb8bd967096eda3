"""The workflows of executions: one follows an execution of Testkube's to its verdict, one starts an execution, once.

    FollowExecution:  look -> write the status -> wait until there is something new -> ... -> read the scores -> verdict
    StartExecution:   start, unless it was started for this very request -> have it followed

They wait as long as it takes: an execution may run for hours, and Testkube may be away. The steps themselves are in
`execution_activities`. They have a task queue of their own, so that a Testkube that hangs holds up no reconciliation.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ApplicationErrorCategory,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from experiments.evaluation import not_evaluated
    from experiments.executions import (
        EXECUTION_DURATION,
        EXECUTION_LAG,
        EXECUTIONS,
        FOLLOW_EXECUTION,
        LOOK,
        LOOK_AT_EXECUTION,
        NOT_READY,
        NOT_STARTED,
        READ_SCORES,
        REQUEST_EXECUTION,
        START_EXECUTION,
        WRITE_EXECUTE_AT,
        WRITE_EXECUTION,
        ExecuteAt,
        ExecutionReport,
        ExecutionResult,
        ExecutionTarget,
        FollowState,
        Judged,
        Seen,
        Started,
        StartRequest,
        execution_memo,
        rfc3339,
    )
    from temporal.search_attributes import EXPERIMENT_NAMESPACE, of_namespace
    from worker.steps import (
        ON_CURRENT_VERSION,
        UNLIMITED_RETRY,
        cause_of,
        continues_elsewhere,
        take_step,
        try_step,
    )

# Signals say when to look, and whoever sends them polls as well: this is for the case that nobody does.
_LONGEST_PAUSE = timedelta(minutes=10)
# An Event may come before what it is about can be read.
_MAX_LOOKS_FOR_IT = 3
_PAUSE_BEFORE_IT_IS_THERE = timedelta(seconds=2)
# Scores of an execution that has ended are there, or Testkube is away; after a day nobody waits for them any more.
_SCORES_LIMIT = timedelta(days=1)
_SCORES_TIMEOUT = timedelta(seconds=60)
# An attempt ends itself after 12 s (`_MAX_ATTEMPT`), so none is under way any more when the next one begins.
_START_TIMEOUT = timedelta(seconds=15)
_START_LIMIT = timedelta(minutes=1)
# Long enough for Testkube to list what it has started without being able to say so.
_START_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), backoff_coefficient=1.0)


@workflow.defn(name=FOLLOW_EXECUTION)
class FollowExecution:
    @workflow.init
    def __init__(self, state: FollowState) -> None:
        self._state = state
        self._execution = state.execution

    @workflow.signal(name=LOOK)
    def look(self, *_: object) -> None:
        """Ask for a look at Testkube after the present one. Takes anything: there is nothing to say."""
        self._state.woken = True

    @workflow.run
    async def run(self, _: FollowState) -> ExecutionResult:
        state = self._state
        while True:
            state.woken = False
            seen = await take_step(LOOK_AT_EXECUTION, self._execution, Seen, UNLIMITED_RETRY)
            if seen.finished or (seen.gone and not self._may_still_come()):
                return await self._end(seen)
            if seen != state.known and not seen.gone:
                await self._report(seen)
                state.known = seen
            await self._wait(seen)
            if continues_elsewhere():
                memo = execution_memo(self._execution, state.known).to_memo()
                workflow.continue_as_new(state, memo=memo, initial_versioning_behavior=ON_CURRENT_VERSION)

    def _may_still_come(self) -> bool:
        self._state.looks += 1
        return self._state.known is None and self._state.looks < _MAX_LOOKS_FOR_IT

    async def _wait(self, seen: Seen) -> None:
        pause = _PAUSE_BEFORE_IT_IS_THERE if seen.gone else _LONGEST_PAUSE
        workflow.set_current_details(f"Testkube says: {seen.status or 'nothing of it yet'}.")
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._state.woken, timeout=pause, timeout_summary=f"until it is more than {seen.status}"
            )

    async def _end(self, seen: Seen) -> ExecutionResult:
        judged = await self._judge(seen)
        known = self._state.known or Seen()
        if seen.gone:  # what is known of it stays true; of its end, nobody will ever know
            seen = known
        if seen.start_time:  # else Testkube has never said anything of it, and there is nothing to report
            await self._report(seen, judged)
            self._count(seen, judged)
        result = ExecutionResult(self._execution.id, self._execution.workflow, seen, judged)
        if judged.verdict == "Passed":
            return result
        # It is the agent that has failed: nothing that whoever runs this service has to be told of.
        benign = ApplicationErrorCategory.BENIGN
        raise ApplicationError(judged.message, result, type=judged.verdict, non_retryable=True, category=benign)

    async def _judge(self, seen: Seen) -> Judged:
        if seen.gone:
            return Judged.of(not_evaluated("Testkube has no such execution any more, and had not told how it ended."))
        try:
            return await try_step(READ_SCORES, self._execution, Judged)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
        # It cannot be read yet, which may take long. That it has ended need not wait.
        await self._report(seen)
        self._state.known = seen
        judged: Judged
        try:
            judged = await workflow.execute_activity(
                READ_SCORES,
                self._execution,
                result_type=Judged,
                start_to_close_timeout=_SCORES_TIMEOUT,
                schedule_to_close_timeout=_SCORES_LIMIT,
                retry_policy=UNLIMITED_RETRY,
                summary=self._execution.summary,
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            judged = Judged.of(not_evaluated(f"Its scores could not be read: {cause_of(error)}."))
        return judged

    async def _report(self, seen: Seen, judged: Judged | None = None) -> None:
        report = ExecutionReport(self._execution, seen, rfc3339(workflow.now()))
        if judged:
            report.verdict, report.message, report.counts = judged.verdict, judged.message, judged.counts
        # Lists are made from memos, so that they need not open the history of each run.
        workflow.upsert_memo(execution_memo(self._execution, seen, judged).to_memo())
        await take_step(WRITE_EXECUTION, report, str, UNLIMITED_RETRY)

    def _count(self, seen: Seen, judged: Judged) -> None:
        meter, labels = workflow.metric_meter(), {"verdict": judged.verdict}
        meter.create_counter(EXECUTIONS).add(1, labels)
        if seen.end_time:
            start, end = datetime.fromisoformat(seen.start_time), datetime.fromisoformat(seen.end_time)
            meter.create_histogram_timedelta(EXECUTION_DURATION).record(max(end - start, timedelta()), labels)
            meter.create_histogram_timedelta(EXECUTION_LAG).record(max(workflow.now() - end, timedelta()))


@workflow.defn(name=START_EXECUTION)
class StartExecution:
    @workflow.run
    async def run(self, wish: StartRequest) -> Started:
        try:
            started = await self._start(wish)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            cause = cause_of(error)
            refused = isinstance(cause, ApplicationError) and cause.type == NOT_READY
            if refused and wish.execute_at:
                await self._honour(wish, str(getattr(cause, "message", cause)))
            raise ApplicationError(
                str(getattr(cause, "message", cause)),
                type=NOT_READY if refused else NOT_STARTED,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            ) from error
        await _have_followed(started.execution)
        if wish.execute_at:
            await self._honour(wish)
        return started

    async def _start(self, wish: StartRequest) -> Started:
        """Start it, or find that an earlier attempt has. Who asks by annotation does not wait for an answer."""
        started: Started = await workflow.execute_activity(
            REQUEST_EXECUTION,
            wish,
            result_type=Started,
            start_to_close_timeout=_START_TIMEOUT,
            schedule_to_close_timeout=None if wish.execute_at else _START_LIMIT,
            retry_policy=_START_RETRY,
            summary=wish.summary,
        )
        return started

    async def _honour(self, wish: StartRequest, refused: str = "") -> None:
        done = ExecuteAt(wish.target, wish.execute_at, rfc3339(workflow.now()), refused)
        await take_step(WRITE_EXECUTE_AT, done, str, UNLIMITED_RETRY)


async def _have_followed(execution: ExecutionTarget) -> None:
    """Begin to follow it. Whoever sees it in Testkube may have been faster."""
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            FOLLOW_EXECUTION,
            FollowState(execution),
            id=execution.workflow_id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            memo=execution_memo(execution).to_memo(),
            search_attributes=_attributes(execution),
            static_summary=execution.summary,
        )


def _attributes(execution: ExecutionTarget) -> TypedSearchAttributes | None:
    """Give it search attributes where this run has some: by what it began with, so that a replay goes the same way."""
    has_some = workflow.info().typed_search_attributes.get(EXPERIMENT_NAMESPACE)
    return of_namespace(execution.target) if has_some else None
