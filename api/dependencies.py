"""What the routes share, as FastAPI dependencies: the process's caches and its view of Temporal, and path parameters.

All of it runs on the event loop (`async def`): the caches belong to it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from api.runs import Runs
from kube.caches import Caches


async def _caches(request: Request) -> Caches:
    caches: Caches = request.app.state.caches
    return caches


async def _runs(request: Request) -> Runs:
    runs: Runs = request.app.state.runs
    return runs


TheCaches = Annotated[Caches, Depends(_caches)]
TheRuns = Annotated[Runs, Depends(_runs)]

# Also what keeps quotes out of the queries to Temporal.
Namespace = Annotated[str, Path(max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", examples=["default"])]
Name = Annotated[str, Path(max_length=253, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", examples=["weather-agent"])]
