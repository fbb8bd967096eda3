"""The api process: a cache of all Experiments, and an HTTP server that answers from it and from Temporal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from temporalio.client import Client

from api.app import create_app
from experiments.objects import EXPERIMENT, Source
from kube.caches import Caches
from kube.client import KubeClient

log = structlog.get_logger(__name__)

_GRACE_SECONDS = 3


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's, who may run other services in this process."""
        yield


async def run_api(client: KubeClient, temporal: Client, *, host: str, port: int, temporal_ui_url: str) -> None:
    """Serves until cancelled; requests under way then have a few seconds to end.

    Listens from the first second on, and /readyz tells when the caches are filled. Raises OSError when it cannot
    listen on `host` and `port`.
    """
    caches = Caches(client, [Source(EXPERIMENT)])
    app = create_app(caches, temporal, temporal_ui_url=temporal_ui_url)
    server = _Server(
        uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS)
    )
    with _listener(host, port) as listener:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(caches.run())
            serving = tasks.create_task(server.serve(sockets=[listener]))
            log.info("api listens", host=host, port=listener.getsockname()[1])
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                server.should_exit = True
                await serving
                raise


def _listener(host: str, port: int) -> socket.socket:
    """uvicorn's own would end the process where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
