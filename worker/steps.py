"""How workflows take their steps: each is an activity, tried first as a local one, which costs half."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

_T = TypeVar("_T")
_LOCAL_TIMEOUT = timedelta(seconds=5)
# Longer than the 30 s that `KubeClient` waits for an answer: its error says more than "StartToClose timeout".
_TIMEOUT = timedelta(seconds=40)
_ONCE = RetryPolicy(maximum_attempts=1)
# For steps without which there is nothing to say and nowhere to say it: they go on until somebody answers.
UNLIMITED_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))
_MAX_HISTORY = 1000
# Means nothing where workers have no versions.
ON_CURRENT_VERSION = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


class Summarized(Protocol):
    """What a step is given: it says in one line what the step does, which Temporal's UI shows."""

    @property
    def summary(self) -> str: ...


async def take_step(step: str, request: Summarized, result: type[_T], retry: RetryPolicy) -> _T:
    """Try a step as a local activity; goes on as a regular one where repeating can help.

    The Temporal UI shows attempts and last failure of the second while it is pending. Raises `FailureError`.
    """
    try:
        return await try_step(step, request, result)
    except FailureError as error:
        cause = cause_of(error)
        if is_cancelled_exception(error) or (isinstance(cause, ApplicationError) and cause.non_retryable):
            raise
        value: _T = await workflow.execute_activity(
            step,
            request,
            result_type=result,
            start_to_close_timeout=_TIMEOUT,
            retry_policy=retry,
            summary=request.summary,
        )
        return value


async def try_step(step: str, request: Summarized, result: type[_T]) -> _T:
    """Take a step once, as a local activity. Raises `FailureError`."""
    value: _T = await workflow.execute_local_activity(
        step,
        request,
        result_type=result,
        start_to_close_timeout=_LOCAL_TIMEOUT,
        retry_policy=_ONCE,
        summary=request.summary,
    )
    return value


def cause_of(error: FailureError) -> BaseException | None:
    """Unwrap a failure: a regular activity's comes wrapped, a local activity's may come as it is (SDK 1.35)."""
    return error.cause if isinstance(error, ActivityError) else error


def continues_elsewhere() -> bool:
    """Tell whether it is time for a new run.

    The history takes long to replay, the server, which knows its size, wants another, or another version of the workers
    has become the current one.

    Never asked before the first pass, or a run that is kept to its version by hand would continue for ever.
    """
    info = workflow.info()
    return (
        info.get_current_history_length() > _MAX_HISTORY
        or info.is_continue_as_new_suggested()
        or info.is_target_worker_deployment_version_changed()
    )
