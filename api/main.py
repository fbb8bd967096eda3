"""The api process: caches of everything that plans read, and an HTTP server that answers from them and Temporal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from temporalio.client import Client

from api.app import create_app
from api.auth.kubernetes import Access, ByKubernetes, Everybody
from api.config import ApiConfig
from api.http.server import serving
from api.http.tls import Certificate
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from telemetry.health import needs
from testkube.client import TestkubeClient

log = structlog.get_logger(__name__)


async def run_api(
    client: KubeClient,
    temporal: Client,
    config: ApiConfig,
    testkube: TestkubeClient | None = None,
    beside: Callable[[Caches], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until cancelled; requests under way then have a few seconds to end.

    Listens from the first second on, and /readyz tells when the caches are filled. Raises OSError when it cannot
    listen on `host` and `port`, and `tls.TlsError`. What runs `beside` the api has its caches.
    """
    caches = Caches(client, [*sources(config.options), *name_sources(config.options)])
    app = create_app(caches, temporal, _access(client, config), config, testkube)
    context = Certificate(config.tls_dir).context if config.tls_dir else None
    async with serving(_for_browsers(app, config.cors_origins), config.host, config.port, context) as port:
        log.info("api listens", host=config.host, port=port, tls=context is not None)
        with contextlib.closing(app.state.shared.broadcast):  # streams would last for ever
            needs("api", caches.missing)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(caches.run())
                tasks.create_task(caches.freeze())
                if beside:
                    tasks.create_task(beside(caches))


def _access(client: KubeClient, config: ApiConfig) -> Access:
    if config.auth == "none":
        log.warning("the api asks nobody who they are: everybody who reaches it may do everything", auth="none")
        return Everybody()
    return ByKubernetes(client, config.token_audiences)


def _for_browsers(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Wrap the whole application, so that a page can also read what went wrong."""
    if not origins:
        return app
    return CORSMiddleware(
        app, origins, allow_methods=["GET", "HEAD", "POST"], allow_headers=["*"], expose_headers=["*"]
    )
