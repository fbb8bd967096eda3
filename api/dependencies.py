"""What the routes share, as FastAPI dependencies: the process's caches and its view of Temporal.

All of it runs on the event loop (`async def`): the caches belong to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from api.auth.kubernetes import Access
from api.http.problems import CachesNotFilled, NotFound
from api.reconciliations.visibility import Runs
from experiments.admission import AgentCheck
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Object, ObjectRef
from temporal.client import Start

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.events.broadcast import Broadcast


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process has, for all requests."""

    caches: Caches
    runs: Runs
    access: Access
    options: Options
    agent_check: AgentCheck
    start: Start
    broadcast: Broadcast

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


def require_experiment(caches: Caches, namespace: str, name: str) -> Object:
    """Raises NotFound, or CachesNotFilled while nobody can tell."""
    require_filled(caches)
    obj = caches.get(ObjectRef(EXPERIMENT, namespace, name))
    if obj is None:
        raise NotFound(f"There is no Experiment {namespace}/{name}.")
    return obj


def require_filled(caches: Caches) -> None:
    """Raises CachesNotFilled."""
    if not caches.synced:
        raise CachesNotFilled("This process has not listed the Experiments yet; ask again in a few seconds.")
