"""Behind a proxy that has a name of its own: which host people have asked."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send


class ForwardedHost:
    """Takes the last X-Forwarded-Host, which the nearest proxy wrote, for Host. Without such a proxy, anybody could."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (forwarded := Headers(scope=scope).get("x-forwarded-host")):
            scope = {**scope, "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["host"] = forwarded.rpartition(",")[2].strip()
        await self._app(scope, receive, send)
