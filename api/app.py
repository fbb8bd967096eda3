"""The REST application: routes, problems and what they share, put together. `main` runs it."""

from __future__ import annotations

from fastapi import FastAPI
from temporalio.client import Client

from api import experiments, health, problems, reconciliations
from api.runs import Runs
from kube.caches import Caches

_DESCRIPTION = """What there is of each Experiment, what was done about it, and why.

Errors are problems as in RFC 9457: `application/problem+json` with a stable `type` and a sentence in `detail`.
"""


def create_app(caches: Caches, temporal: Client, *, temporal_ui_url: str) -> FastAPI:
    """`caches` must cover Experiments and be run by the caller; `temporal` must have the pydantic data converter.

    `temporal_ui_url` is what links into Temporal's UI begin with, as a person's browser reaches it.
    """
    app = FastAPI(title="experiment-operator", version="v1", description=_DESCRIPTION)
    app.state.caches = caches
    app.state.runs = Runs(temporal, temporal_ui_url)
    problems.install(app)
    for part in (health, experiments, reconciliations):
        app.include_router(part.router)
    return app
