"""A listener for an ASGI application, within a process that has other things to do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from api.http.middleware import BodyLimit, MetricsMiddleware

_GRACE_TIMEOUT_SECONDS = 3
_STALLED_TIMEOUT_MILLISECONDS = 30_000


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve `app` while the context is open, over TLS where there is a `context` for it; the value is the port.

    Leaving waits a few seconds for requests under way. Raises OSError when it cannot listen there.
    """
    server = _UvicornServer(
        uvicorn.Config(
            MetricsMiddleware(BodyLimit(app)),
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # else whatever X-Forwarded-* of this machine says would be believed
            timeout_graceful_shutdown=_GRACE_TIMEOUT_SECONDS,
            ssl_context_factory=(lambda _config, _default: context) if context else None,
        )
    )
    with _listener(host, port) as listener:
        async with asyncio.TaskGroup() as tasks:
            served = tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True
                await served


class _UvicornServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller, who may run other services in this process."""
        yield


def _listener(host: str, port: int) -> socket.socket:
    """Listen. uvicorn's own way would end the process where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # what a connection that takes nothing was to get would be kept for ever
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STALLED_TIMEOUT_MILLISECONDS)
    return listener
