"""Answers that wait for the end of what was asked for, but no longer than whoever has asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import Query, Request

Wait = Annotated[
    str | None,
    Query(
        pattern="^([1-9]|[1-5][0-9]|60)s$", description="How long to wait for its end, up to `60s`.", examples=["30s"]
    ),
]


async def until_done(work: Coroutine[Any, Any, None], request: Request, wait: str) -> bool:
    """Wait until the work is done, the time is up or the client has gone. Tells whether it is done, or why not."""
    done = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        seconds = int(wait.removesuffix("s"))
        await asyncio.wait((done, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
        return done.done()
    finally:
        done.cancel()
        gone.cancel()
        await asyncio.gather(done, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
