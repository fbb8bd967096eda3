"""The workflow: one run brings one Experiment to where the cluster is as planned.

    take a snapshot and plan -> carry out the actions -> write the status -> done, or wait and look again

What goes smoothly is carried out in one step, everything else in a step of its own, with its own attempts and its own
failure.

A run completes with what it did, or fails with the condition's reason as error type when only a person can help. What
time or another object can cure keeps it open. The steps themselves are in `activities`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ApplicationError,
    ApplicationErrorCategory,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from experiments.contract import (
        CARRY_OUT,
        RECONCILIATION_DURATION,
        RECONCILIATION_PAUSES,
        RECONCILIATIONS,
        SIGNAL,
        TAKE_SNAPSHOT,
        WORKFLOW_TYPE,
        WRITE_STATUS,
        ActionRequest,
        ActionsRequest,
        Blocker,
        Outcome,
        PlannedAction,
        Progress,
        Result,
        RunState,
        SnapshotRequest,
        SnapshotResult,
        StatusRequest,
        WakeSignal,
        memo,
    )
    from experiments.errors import BY_REASON, Immutable, InternalError, Terminal, TestkubeUnavailable
    from experiments.plan import REPLACE, Step
    from temporal import search_attributes
    from temporal.search_attributes import EXPERIMENT_NAMESPACE
    from worker.steps import ON_CURRENT_VERSION, UNLIMITED_RETRY, cause_of, continues_elsewhere, take_step, try_step

STALE = "Stale"
"""Error type of a step that found the cluster changed under its plan: look again at once."""

# An action gives up after a few attempts, so that the status can say what is wrong. Without snapshot or status there is
# nothing to say and nowhere to say it: they go on until the API server answers.
_ACTION_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10), maximum_attempts=5
)
# A deletion waits for Testkube no longer than a minute. An attempt has 10 s in itself.
_ABORT_TIMEOUT = timedelta(seconds=12)
_ABORT_LIMIT = timedelta(seconds=50)
_MAX_PAUSE = 300
_MAX_PASSES_WITHOUT_PAUSE = 3
# What people send is theirs to choose, and all of it has to fit into one payload.
_MAX_REASONS = 50
_MAX_REASON_LENGTH = 300
_MAX_SEEN = 1000


@workflow.defn(name=WORKFLOW_TYPE)
class ReconcileExperiment:
    @workflow.init
    def __init__(self, state: RunState) -> None:
        self._state = state
        self._target = state.target
        for wakeup in state.pending:
            self.wake(wakeup)
        state.pending = []

    @workflow.signal(name=SIGNAL)
    def wake(self, *given: object) -> None:
        """Ask for a pass after the present one.

        Takes anything, since everybody may send anything: what cannot be read is dropped, and what can be is cut. An
        exception in here would hold up the run for good.
        """
        wakeup = WakeSignal.of(given)
        if wakeup is None:
            workflow.logger.warning("a signal that makes no sense was dropped")
            return
        state = self._state
        reasons = [why[:_MAX_REASON_LENGTH] for why in wakeup.reasons[:_MAX_REASONS]]
        state.reasons += [why for why in dict.fromkeys(reasons) if why not in state.reasons]
        del state.reasons[_MAX_REASONS:]
        # Counts for all further passes: caches that are behind it now may still be when the next pass reads.
        state.seen = dict(list((state.seen | wakeup.seen).items())[-_MAX_SEEN:])
        state.orphan |= wakeup.orphan
        state.woken = True

    @workflow.run
    async def run(self, _: RunState) -> Result:
        state = self._state
        while True:
            woken, state.woken = state.woken, False
            found, problem = await self._pass()
            if problem is not None and problem.reason in _WAIT_FOR:
                state.attempt = 1 if woken else state.attempt + 1
                await self._pause(problem)
            elif not state.woken:
                return self._finish(found, problem)
            if continues_elsewhere():
                workflow.continue_as_new(
                    state, memo=memo(state.target, state.reasons), initial_versioning_behavior=ON_CURRENT_VERSION
                )

    async def _pass(self) -> tuple[SnapshotResult, Blocker | None]:
        """Read, act and report once. Returns what was found and what is still in the way."""
        state = self._state
        # What this run has written itself, caches may not have heard of.
        certain = state.attempt > 0 or bool(state.changes)
        request = SnapshotRequest(self._target, dict(state.seen), certain=certain, orphan=state.orphan)
        try:
            found = await take_step(TAKE_SNAPSHOT, request, SnapshotResult, UNLIMITED_RETRY)
        except FailureError as error:
            return SnapshotResult(exists=True), _blocker(TAKE_SNAPSHOT, error)
        forgotten = [change for change in found.done if change not in state.changes]
        state.changes += forgotten
        state.unreported += [change for change in forgotten if change in found.unreported]
        progress = await self._act(found)
        failure = progress.failure
        state.changes += progress.changes
        state.unreported = [] if progress.reported else state.unreported + progress.changes
        # The finalizer goes last, once the API server says that nothing is left.
        steps = {action.step for action in found.actions}
        last = Step.REMOVE_FINALIZER in steps if found.exists else bool(steps)
        # A signal at the very end makes the server forget this pass; the next finds nothing but what it has done.
        state.released |= (found.deleting and failure is None and last) or (not found.exists and bool(found.done))
        if failure and failure.reason == STALE:
            return found, failure
        if found.exists and not progress.reported and (state.unreported or failure or found.news):
            failed = found.actions[progress.done] if failure else None
            report = StatusRequest(self._target, _now(), state.unreported, failed, failure)
            try:
                await take_step(WRITE_STATUS, report, str, UNLIMITED_RETRY)
            except FailureError as error:
                return found, _blocker(WRITE_STATUS, error)
            state.unreported = []
        return found, failure or next(iter(found.problems), None)

    async def _act(self, found: SnapshotResult) -> Progress:
        """Carry out what was planned, until something fails."""
        progress = await self._carry_out_together(found)
        while progress.failure is None and progress.done < len(found.actions):
            action = found.actions[progress.done]
            try:
                done = await self._carry_out(action)
            except FailureError as error:
                progress.failure = _blocker(action.step, error)
                break
            progress.done += 1
            progress.changes += [done] if done else []
        return progress

    async def _carry_out_together(self, found: SnapshotResult) -> Progress:
        """Carry out, in one step, what goes smoothly. What may go better is left to a step of its own."""
        actions = found.actions[: found.together]
        if not actions or (len(actions) == 1 and not found.reportable):
            return Progress()
        report = StatusRequest(self._target, _now(), self._state.unreported) if found.reportable else None
        try:
            return await try_step(CARRY_OUT, ActionsRequest(self._target, actions, report), Progress)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            return Progress()

    async def _carry_out(self, action: PlannedAction) -> str:
        """Carry out one action; says what was done. What may not be changed is made anew, as a step of that name."""
        if action.step == Step.ABORT_EXECUTIONS:
            return await self._abort_executions(action)
        try:
            return await take_step(action.step, ActionRequest(self._target, action), str, _ACTION_RETRY)
        except FailureError as error:
            if _blocker(action.step, error).reason != Immutable.__name__ or action.step in REPLACE.values():
                raise
        step = Step(action.step.replace("apply_", "replace_"))
        done = await take_step(step, ActionRequest(self._target, replace(action, step=step)), str, _ACTION_RETRY)
        self._state.woken = True  # what belongs to it, like the trigger of a TestWorkflow, follows in another pass
        return done

    async def _abort_executions(self, action: PlannedAction) -> str:
        """Stop what still runs; says what was done.

        Testkube away holds a deletion up once, and not for long; the status says so at once.
        """
        if not self._state.may_abort:
            return ""
        request = ActionRequest(self._target, action)
        try:
            done: str = await workflow.execute_activity(
                action.step,
                request,
                result_type=str,
                start_to_close_timeout=_ABORT_TIMEOUT,
                schedule_to_close_timeout=_ABORT_LIMIT,
                retry_policy=UNLIMITED_RETRY,
                summary=request.summary,
            )
        except FailureError as error:
            self._state.may_abort = False
            problem = _blocker(action.step, error)
            said = f"could not {action.description}, some may hang: {problem.message}"
            await self._say(action, Blocker(TestkubeUnavailable.__name__, f"{said[0].upper()}{said[1:]}"))
            return said
        return done

    async def _say(self, action: PlannedAction, problem: Blocker) -> None:
        """Put it into the status and an Event, as far as possible: the clean-up goes on in any case."""
        report = StatusRequest(self._target, _now(), [], action, problem)
        with suppress(FailureError):
            await take_step(WRITE_STATUS, report, str, _ACTION_RETRY)

    async def _pause(self, problem: Blocker) -> None:
        attempt = self._state.attempt
        if problem.reason == STALE and attempt <= _MAX_PASSES_WITHOUT_PAUSE:
            return
        pause = min(2 ** (attempt - 1), _MAX_PAUSE)
        workflow.metric_meter().create_counter(RECONCILIATION_PAUSES).add(1, {"reason": problem.reason})
        workflow.set_current_details(f"{problem} Looks again in {pause} s, or when woken.")
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._state.woken, timeout=pause, timeout_summary=f"{problem.reason}: next attempt in {pause} s"
            )
        workflow.set_current_details("")

    def _finish(self, found: SnapshotResult, problem: Blocker | None) -> Result:
        state = self._state
        came_to = _outcome(found, state.changes, released=state.released)
        outcome, message = (problem.reason, problem.message) if problem else (came_to, _MESSAGES[came_to])
        result = Result(outcome, message, found.generation, state.reasons, state.changes)
        # Lists are made from memos, so that they need not open the history of each run.
        workflow.upsert_memo(memo(state.target, state.reasons, result))
        # As it began, not as this worker is set: a replay has to go the same way.
        if workflow.info().typed_search_attributes.get(EXPERIMENT_NAMESPACE):
            workflow.upsert_search_attributes(search_attributes.at_end(outcome, state.reasons))
        _count("failed" if problem else "completed", outcome)
        if problem is not None:
            # Somebody has to correct the Experiment: nothing that whoever runs this service has to be told of.
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError(message, result, type=outcome, non_retryable=True, category=benign)
        return result


_MESSAGES: dict[Outcome, str] = {
    "Reconciled": "The cluster is as the Experiment says.",
    "Unchanged": "The cluster already was as the Experiment says.",
    "Suspended": "spec.suspend is true: nothing was touched.",
    "CleanedUp": "Nothing of the deleted Experiment is left.",
    "Gone": "The Experiment is gone, or going without anything of this service to clean up.",
}
# Everything but what only a person can help with; an error of no known type is a defect, which a new version may cure.
_WAIT_FOR = {STALE, *(reason for reason, problem in BY_REASON.items() if not issubclass(problem, Terminal))}


def _outcome(found: SnapshotResult, changes: list[str], *, released: bool) -> Outcome:
    if found.deleting or not found.exists:
        return "CleanedUp" if released else "Gone"
    if found.suspended:
        return "Suspended"
    return "Reconciled" if changes or found.news else "Unchanged"


def _now() -> str:
    return workflow.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _count(outcome: str, reason: str) -> None:
    meter, took = workflow.metric_meter(), workflow.now() - workflow.info().start_time
    meter.create_counter(RECONCILIATIONS).add(1, {"outcome": outcome, "reason": reason})
    meter.create_histogram_timedelta(RECONCILIATION_DURATION).record(took, {"outcome": outcome})


def _blocker(step: str, error: FailureError) -> Blocker:
    if is_cancelled_exception(error):
        raise error  # nothing is in the way: somebody has cancelled the run
    cause = cause_of(error)
    if isinstance(cause, ApplicationError) and cause.type in {STALE, *BY_REASON}:
        return Blocker(cause.type or "", cause.message)
    return Blocker(InternalError.__name__, f"{step}: {cause or error}")
