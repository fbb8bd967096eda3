"""What the routes share, as FastAPI dependencies: the process's caches and its view of Temporal, and path parameters.

All of it runs on the event loop (`async def`): the caches belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Path, Request

from api.access import Access, User
from api.problems import NotAllowed
from api.runs import Runs
from experiments.options import Options
from kube.caches import Caches
from temporal.client import Start

if TYPE_CHECKING:
    from fastapi import FastAPI


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process has, for all requests."""

    caches: Caches
    runs: Runs
    access: Access
    options: Options
    start: Start

    def install(self, app: FastAPI) -> None:
        app.state.parts = self


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


TheParts = Annotated[Parts, Depends(_parts)]


async def _caches(parts: TheParts) -> Caches:
    return parts.caches


async def _runs(parts: TheParts) -> Runs:
    return parts.runs


TheCaches = Annotated[Caches, Depends(_caches)]
TheRuns = Annotated[Runs, Depends(_runs)]

# Also what keeps quotes out of the queries to Temporal.
Namespace = Annotated[str, Path(max_length=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", examples=["default"])]
Name = Annotated[str, Path(max_length=253, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", examples=["weather-agent"])]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent this request, and what they may do to Experiments."""

    user: User
    access: Access

    async def may(self, verb: str, namespace: str) -> bool:
        return await self.access.may(self.user, verb, namespace)

    async def require(self, verb: str, namespace: str) -> None:
        """Raises `problems.NotAllowed`."""
        if not await self.may(verb, namespace):
            raise NotAllowed(f"{self.user.name} may not {verb} Experiments in namespace {namespace}.")

    async def listable(self, namespaces: Iterable[str]) -> frozenset[str]:
        """Those of `namespaces` whose Experiments this caller may list."""
        if await self.may("list", ""):
            return frozenset(namespaces)
        return frozenset({namespace for namespace in set(namespaces) if await self.may("list", namespace)})


async def _caller(request: Request, parts: TheParts) -> Caller:
    return Caller(await parts.access.user(request.headers.get("authorization")), parts.access)


TheCaller = Annotated[Caller, Depends(_caller)]


async def _may_get(namespace: Namespace, caller: TheCaller) -> None:
    await caller.require("get", namespace)


async def _may_update(namespace: Namespace, caller: TheCaller) -> None:
    await caller.require("update", namespace)


MayGet = Depends(_may_get)
MayUpdate = Depends(_may_update)
