"""Aborting an execution: Testkube is asked to, and whoever follows it looks as soon as it has."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from api.dependencies import AppState
from api.executions.details import find
from api.executions.sources import Sources, require_testkube, testkube_call
from api.http.problems import AlreadyFinished, NoSuchResource, ServiceUnavailable, TestkubeUnavailable
from api.reconciliations.visibility import temporal_call
from experiments.contract import Target
from experiments.executions import ExecutionTarget
from experiments.names import UID_LABEL
from testkube.client import TestkubeClient
from testkube.errors import NotFound, Refused, TestkubeError

log = structlog.get_logger(__name__)

# It is `canceled` within half a second, of which Testkube tells nobody.
_STOP_SECONDS = 5
_PAUSE_SECONDS = 0.25


async def abort(state: AppState, namespace: str, name: str, identifier: str) -> None:
    """Abort an execution, and have whoever follows it look.

    Raises AlreadyFinished, NoSuchResource, TestkubeNotConfigured, and ServiceUnavailable where nobody can tell.
    """
    testkube, sources = require_testkube(state), Sources.of(state, namespace, name)
    found = await find(sources, identifier)
    if found.detail is None:
        raise sources.refusals.get(TestkubeUnavailable) or NoSuchResource(
            f"Testkube has no execution {identifier} any more, so there is nothing to abort."
        )
    execution = found.detail.execution
    try:
        async with testkube_call():
            await testkube.abort(execution.workflow, identifier)
    except NotFound as error:
        raise NoSuchResource(f"Testkube has no execution {identifier} any more.") from error
    except Refused as error:
        raise AlreadyFinished(f"Execution {execution.number} cannot be aborted any more: it has ended.") from error
    await _until_stopped(testkube, identifier)
    uid = found.follower.target.uid if found.follower else execution.labels.get(UID_LABEL)
    if uid:
        target = ExecutionTarget(Target(namespace, name, uid), execution.workflow, identifier)
        with suppress(ServiceUnavailable):  # whoever polls will see it
            async with temporal_call():
                await state.follow(target)


async def _until_stopped(testkube: TestkubeClient, execution: str) -> None:
    """Wait a little for its end. Where that takes longer, it is seen later, as any other."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            while not (await testkube.execution(execution)).execution.finished:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_PAUSE_SECONDS)
    except (TimeoutError, TestkubeError) as error:
        log.info("an aborted execution has not ended yet", execution=execution, error=str(error))
