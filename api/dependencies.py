"""What the routes share, as a FastAPI dependency: the process's caches and its view of Temporal.

All of it runs on the event loop (`async def`): the caches belong to it. What takes the processor for long runs beside
it, on values that were taken from the caches before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from api.auth.dependencies import Caller
from api.auth.kubernetes import Access
from api.events.broadcast import Broadcast
from api.executions.followers import Followers
from api.http.problems import CachesNotFilled, NoSuchResource
from api.reconciliations.visibility import Runs
from experiments.options import NeighbourCheck, Options
from experiments.resources import EXPERIMENT
from experiments.snapshot import Subject
from kube.caches import Caches
from kube.objects import Object, ObjectRef
from temporal.client import Start
from temporal.executions import Follow
from temporal.executions import Request as RequestExecution
from testkube.client import TestkubeClient

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AppState:
    """What the process has, for all requests. Without a client of Testkube, executions are those that Temporal has."""

    caches: Caches
    runs: Runs
    access: Access
    options: Options
    neighbour_check: NeighbourCheck
    start: Start
    broadcast: Broadcast
    followers: Followers
    request: RequestExecution
    follow: Follow
    testkube: TestkubeClient | None
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "beside-the-loop"))
    """One: more would not be faster, since Python runs one at a time, and each holds an Experiment in memory."""

    async def beside(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do what may take longer than other requests should wait. It must not touch the caches."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, lambda: work(*args, **kwargs))


async def _state(request: Request) -> AppState:
    state: AppState = request.app.state.shared
    return state


State = Annotated[AppState, Depends(_state)]


def require_experiment(caches: Caches, namespace: str, name: str) -> Object:
    """Return the Experiment. Raises NoSuchResource, or CachesNotFilled while nobody can tell."""
    require_filled(caches)
    obj = caches.get(ObjectRef(EXPERIMENT, namespace, name))
    if obj is None:
        raise NoSuchResource(f"There is no Experiment {namespace}/{name}.")
    return obj


async def read_subject(state: AppState, namespace: str, name: str) -> Subject:
    """Read the Experiment beside the loop, as plans need it. Raises NoSuchResource and CachesNotFilled."""
    return await state.beside(Subject.of, require_experiment(state.caches, namespace, name), state.options)


def require_filled(caches: Caches) -> None:
    """Raise CachesNotFilled before the first list of Experiments is in."""
    if not caches.synced:
        raise CachesNotFilled("This process has not listed the Experiments yet; ask again in a few seconds.")


async def listable_experiments(state: AppState, caller: Caller) -> list[Object]:
    """Return those that this caller may list. Raises CachesNotFilled and AccessUnknown."""
    require_filled(state.caches)
    found = state.caches.objects(EXPERIMENT)
    namespaces = await caller.listable({obj["metadata"]["namespace"] for obj in found})
    return [obj for obj in found if obj["metadata"]["namespace"] in namespaces]
