"""What the routes share, as a FastAPI dependency: the process's caches and its view of Temporal.

All of it runs on the event loop (`async def`): the caches belong to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from api.auth.kubernetes import Access
from api.http.problems import CachesNotFilled, NoSuchResource
from api.reconciliations.visibility import Runs
from experiments.admission import NeighbourCheck
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Object, ObjectRef
from temporal.client import Start

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.events.broadcast import Broadcast


@dataclass(frozen=True, slots=True)
class AppState:
    """What the process has, for all requests."""

    caches: Caches
    runs: Runs
    access: Access
    options: Options
    neighbour_check: NeighbourCheck
    start: Start
    broadcast: Broadcast

    def install(self, app: FastAPI) -> None:
        """Make it what the routes of `app` share."""
        app.state.shared = self


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


def require_filled(caches: Caches) -> None:
    """Raise CachesNotFilled before the first list of Experiments is in."""
    if not caches.synced:
        raise CachesNotFilled("This process has not listed the Experiments yet; ask again in a few seconds.")
