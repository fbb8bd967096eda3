"""The REST application: routes, problems and what they share, put together. `main` runs it."""

from __future__ import annotations

from temporalio.client import Client

from api.auth.kubernetes import Access
from api.config import ApiConfig
from api.dependencies import AppState
from api.events import endpoints as live
from api.events.broadcast import Broadcast
from api.executions import endpoints as executions
from api.executions.followers import Followers
from api.experiments import endpoints as experiments
from api.http import docs, health, problems
from api.http.etag import CacheControl
from api.http.middleware import ForwardedHost, HeadAsGet
from api.http.openapi import OPENAPI_VERSION, DescribedApi, operation_id
from api.pages import actions, html
from api.pages import endpoints as pages
from api.plans import endpoints as plans
from api.reconciliations import endpoints as reconciliations
from api.reconciliations.visibility import Runs
from api.timeline import endpoints as timeline
from kube.caches import Caches
from temporal.client import starter
from temporal.executions import follower, requester
from testkube.client import TestkubeClient

_DESCRIPTION = """What there is of each Experiment, what was done about it, and why.

Errors are problems as in RFC 9457: `application/problem+json` with a stable `type` and a sentence in `detail`.
"""


def create_app(
    caches: Caches, temporal: Client, access: Access, config: ApiConfig, testkube: TestkubeClient | None = None
) -> DescribedApi:
    """Put the application together. `caches` must cover `sources` and `name_sources` and be run by the caller."""
    app = DescribedApi(
        title="experiment-operator",
        version="v1",
        description=_DESCRIPTION,
        generate_unique_id_function=operation_id,
        docs_url=None,
        redoc_url=None,
    )
    app.openapi_version = OPENAPI_VERSION
    runs = Runs(temporal, config.temporal_ui_url, search_attributes=config.search_attributes)
    start = starter(temporal, config.task_queue, search_attributes=config.search_attributes)
    broadcast = Broadcast(caches, runs)
    caches.subscribe(broadcast.observe)
    app.state.shared = AppState(
        caches=caches,
        runs=runs,
        access=access,
        options=config.options,
        neighbour_check=config.neighbour_check,
        start=start,
        broadcast=broadcast,
        followers=Followers(temporal),
        request=requester(temporal, config.task_queue, search_attributes=config.search_attributes),
        follow=follower(temporal, config.task_queue, search_attributes=config.search_attributes),
        testkube=testkube,
    )
    app.add_middleware(CacheControl)
    app.add_middleware(HeadAsGet)
    if config.behind_proxy:
        app.add_middleware(ForwardedHost)
    problems.install(app)
    docs.install(app)
    html.install(app)
    for part in (health, experiments, live, plans, reconciliations, executions, timeline, pages, actions):
        app.include_router(part.router)
    return app
