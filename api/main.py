"""The api process: caches of everything that plans read, and an HTTP server that answers from them and Temporal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import structlog
import uvicorn
from temporalio.client import Client

from api.access import Access, ByKubernetes, Everybody
from api.app import create_app
from experiments.options import Options
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient

log = structlog.get_logger(__name__)

_GRACE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """`temporal_ui_url` is what links into Temporal's UI begin with; runs are asked for on `task_queue`."""

    host: str = "127.0.0.1"
    port: int = 8080
    auth: Literal["kubernetes", "none"] = "kubernetes"
    temporal_ui_url: str = "http://localhost:8233"
    task_queue: str = "experiment-operator"
    options: Options = field(default_factory=Options)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's, who may run other services in this process."""
        yield


async def run_api(client: KubeClient, temporal: Client, config: ApiConfig) -> None:
    """Serves until cancelled; requests under way then have a few seconds to end.

    Listens from the first second on, and /readyz tells when the caches are filled. Raises OSError when it cannot
    listen on `host` and `port`.
    """
    caches = Caches(client, [*sources(config.options), *name_sources(config.options)])
    app = create_app(caches, temporal, _access(client, config), config)
    server = _Server(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS)
    )
    with _listener(config.host, config.port) as listener:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(caches.run())
            serving = tasks.create_task(server.serve(sockets=[listener]))
            log.info("api listens", host=config.host, port=listener.getsockname()[1])
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                server.should_exit = True
                await serving
                raise


def _access(client: KubeClient, config: ApiConfig) -> Access:
    if config.auth == "none":
        log.warning("the api asks nobody who they are: everybody who reaches it may do everything", auth="none")
        return Everybody()
    return ByKubernetes(client)


def _listener(host: str, port: int) -> socket.socket:
    """uvicorn's own would end the process where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
