"""The api process: caches of everything that plans read, and an HTTP server that answers from them and Temporal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
from pathlib import Path

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from temporalio.client import Client

from api.access import Access, ByKubernetes, Everybody
from api.app import create_app
from api.certificates import WebhookCertificates
from api.config import WEBHOOK, WEBHOOK_CONFIGURATION, ApiConfig, WebhookConfig
from api.http.server import serving
from api.http.tls import Certificate
from api.webhook import create_webhook_app
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.lease import Lease
from telemetry.health import needs

log = structlog.get_logger(__name__)


async def run_api(client: KubeClient, temporal: Client, config: ApiConfig) -> None:
    """Serves until cancelled; requests under way then have a few seconds to end.

    Listens from the first second on, and /readyz tells when the caches are filled. Raises OSError when it cannot
    listen on `host` and `port`, and `tls.TlsError`.
    """
    caches = Caches(client, [*sources(config.options), *name_sources(config.options)])
    app = create_app(caches, temporal, _access(client, config), config)
    context = Certificate(config.tls_dir).context if config.tls_dir else None
    async with serving(_for_browsers(app, config.cors_origins), config.host, config.port, context) as port:
        log.info("api listens", host=config.host, port=port, tls=context is not None)
        with contextlib.closing(app.state.parts.broadcast):  # streams would last for ever
            needs("api", caches.missing)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(caches.run())
                tasks.create_task(_spare_from_collection(caches))
                if config.webhook:
                    tasks.create_task(_run_webhook(client, caches, config, config.webhook))


async def _spare_from_collection(caches: Caches) -> None:
    """What is cached stays. To walk through it now and then would keep all requests waiting for 100 ms."""
    await caches.wait_synced()
    gc.collect()
    gc.freeze()


async def _run_webhook(client: KubeClient, caches: Caches, config: ApiConfig, webhook: WebhookConfig) -> None:
    """Beside the api, on a listener of its own, which opens when there is a certificate."""
    app = create_webhook_app(caches, client, config.options, agent_check=config.agent_check)

    async def serve(directory: Path) -> None:
        async with serving(app, webhook.host, webhook.port, Certificate(directory).context) as port:
            log.info("webhook listens", host=webhook.host, port=port)
            await asyncio.Event().wait()

    if webhook.tls_dir:
        await serve(webhook.tls_dir)
        return
    with tempfile.TemporaryDirectory(prefix="webhook-") as directory:
        certificates = WebhookCertificates(
            client,
            Lease(client, webhook.namespace, WEBHOOK),
            namespace=webhook.namespace,
            secret=WEBHOOK,
            hosts=webhook.hosts,
            configuration=WEBHOOK_CONFIGURATION,
            directory=Path(directory),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(certificates.run())
            await certificates.wait_ready()
            await serve(Path(directory))


def _access(client: KubeClient, config: ApiConfig) -> Access:
    if config.auth == "none":
        log.warning("the api asks nobody who they are: everybody who reaches it may do everything", auth="none")
        return Everybody()
    return ByKubernetes(client)


def _for_browsers(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Around the whole application, so that a page can also read what went wrong."""
    if not origins:
        return app
    return CORSMiddleware(app, origins, allow_methods=["GET", "POST"], allow_headers=["*"], expose_headers=["*"])
