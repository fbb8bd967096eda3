"""Stopping whatever runs of a TestWorkflow, before that is taken away which its pods need to start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from testkube.client import TestkubeClient
from testkube.errors import NotStopped, TestkubeError, Unavailable
from testkube.executions import UNFINISHED

_FIRST_PAUSE_SECONDS = 0.1
_MAX_PAUSE_SECONDS = 2.0


async def stop_executions(client: TestkubeClient, workflow: str, *, patience: timedelta) -> int:
    """Abort executions until Testkube lists no unfinished one; returns how many it listed before.

    The TestWorkflow may be gone already, and had better be: then none can start meanwhile. Raises Unavailable when
    Testkube could not be asked within `patience`, NotStopped when executions outlast it, Refused at once.
    """
    seen: set[str] = set()
    failure: TestkubeError = Unavailable(f"stop executions of {workflow}: no answer in time")
    with suppress(TimeoutError):
        async with asyncio.timeout(patience.total_seconds()):
            for pause in _pauses():
                try:
                    running = await _abort(client, workflow)
                except Unavailable as error:
                    failure = error
                else:
                    seen |= running
                    if not running:
                        return len(seen)
                    failure = NotStopped(f"stop executions of {workflow}: {len(running)} go on, although aborted")
                await asyncio.sleep(pause)
    raise failure


async def _abort(client: TestkubeClient, workflow: str) -> set[str]:
    """Return the ids of those that were unfinished. All are aborted, also in states that this client does not know."""
    running = {each.id for each in await client.executions(workflow, UNFINISHED)}
    await client.abort_all(workflow)
    return running


def _pauses() -> Iterator[float]:
    """Yield pauses, short at first, since what is aborted is over within half a second."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)
