"""Asking for an execution: a request becomes one, however often it is repeated, and is refused where it cannot."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Header
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from api.executions.followers import Followers
from api.http.problems import ExecutionNotStarted, ExperimentNotReady
from api.reconciliations.visibility import temporal_call
from experiments.conditions import why_not_ready
from experiments.executions import NOT_READY, Started, StartRequest
from experiments.models import parse_status
from kube.objects import Object
from temporal.executions import Request

_START_SECONDS = 10

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[!-~]([ -~]*[!-~])?$",
        description="Names the request: repeated with the same key, it is the same execution. Without it, each is new.",
        examples=["build-1742"],
    ),
]


async def start(request: Request, followers: Followers, obj: Object, wish: StartRequest) -> Started:
    """Have it started, and wait a few seconds for that. Raises ExperimentNotReady and ExecutionNotStarted."""
    if (why := refusal(obj)) and not await followers.was_requested(wish):
        raise ExperimentNotReady(f"{wish.target}: {why}")
    async with temporal_call():
        handle = await request(wish)
    try:
        async with asyncio.timeout(_START_SECONDS):
            return await _result(handle)
    except TimeoutError as error:
        raise ExecutionNotStarted(
            "Testkube has not started it yet, and goes on being asked. The same request with Idempotency-Key: "
            f"{wish.key} starts no other one."
        ) from error


async def _result(handle: WorkflowHandle[object, Started]) -> Started:
    try:
        async with temporal_call(limited=False):
            return await handle.result()
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == NOT_READY:
            raise ExperimentNotReady(cause.message) from error
        words = cause.message if isinstance(cause, ApplicationError) else str(cause)
        raise ExecutionNotStarted(f"Testkube has not started it: {words.rstrip('.')}.") from error


def refusal(obj: Object) -> str:
    """Say why this Experiment is not to be executed, as far as is known here; empty where nothing is."""
    if "deletionTimestamp" in obj["metadata"]:
        return "It is being deleted."
    if (obj.get("spec") or {}).get("suspend"):
        return "It is suspended."
    return why_not_ready(parse_status(obj))
