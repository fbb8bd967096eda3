"""What is done with every request, whatever its route. `server.serving` and `app` put these around the routes."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.limits import MAX_BYTES
from telemetry import metrics

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# A few megabytes of JSON become a hundred in memory, so only who expects an Experiment takes so much, and counts the
# values in it before it is parsed.
_WITH_EXPERIMENT = ("/plan", "/validate")
_MAX_OTHER_BYTES = 64 * 1024


class MetricsMiddleware:
    """Counts the requests to a listener and how long they take.

    By the route's template, never by the path: paths hold the names of Experiments, and of anything else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                metrics.HTTP_REQUESTS.labels(method, route, str(message["status"])).inc()
                metrics.HTTP_REQUEST_SECONDS.labels(method, route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, count)


class BodyLimit:
    """Refuses a body that is too long as soon as that is known: it is never in memory as a whole.

    Starlette's own limit would answer in plain text, where a client of the api expects a problem.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, limit = 0, MAX_BYTES if scope.get("path", "").endswith(_WITH_EXPERIMENT) else _MAX_OTHER_BYTES

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"A body of more than {limit:,} bytes is not read.")
            return message

        await self._app(scope, limited, send)


class ForwardedHost:
    """Takes the last X-Forwarded-Host, which the nearest proxy wrote, for Host. Without such a proxy, anybody could."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (forwarded := Headers(scope=scope).get("x-forwarded-host")):
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["host"] = forwarded.rpartition(",")[2].strip()
        await self._app(scope, receive, send)


class HeadAsGet:
    """Answers HEAD wherever there is a GET: the same status and headers, and no body (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()

        async def leave() -> Message:
            """Leave once there is an answer: a stream of events goes on until its reader has gone."""
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})
                answered.set()

        scope["method"] = "GET"
        await self._app(scope, leave, send_headers)
