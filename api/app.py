"""The REST application: routes, problems and what they share, put together. `main` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from temporalio.client import Client

from api import experiments, health, problems, reconciliations
from api.access import Access
from api.dependencies import Parts
from api.runs import Runs
from kube.caches import Caches
from temporal.client import starter

if TYPE_CHECKING:
    from api.main import ApiConfig

_DESCRIPTION = """What there is of each Experiment, what was done about it, and why.

Errors are problems as in RFC 9457: `application/problem+json` with a stable `type` and a sentence in `detail`.
"""


def create_app(caches: Caches, temporal: Client, access: Access, config: ApiConfig) -> FastAPI:
    """`caches` must cover `sources` and `name_sources` and be run by the caller."""
    app = FastAPI(title="experiment-operator", version="v1", description=_DESCRIPTION)
    runs = Runs(temporal, config.temporal_ui_url)
    Parts(caches, runs, access, config.options, starter(temporal, config.task_queue)).install(app)
    problems.install(app)
    for part in (health, experiments, reconciliations):
        app.include_router(part.router)
    return app
