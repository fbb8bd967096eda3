"""What an answer tells clients and proxies about keeping it: ETag, Cache-Control, and whether it may be out of date.

Routes build their answers with `answer`; `CacheControl` sees to all others. What is cached in this process is not
decided here.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.models import Part
from kube.caches import Caches
from kube.objects import Resource

# For one user only, and never without asking again: the answer follows the cluster and the caller's permissions.
_ASK_AGAIN = "private, no-cache"
_HEADERS = {
    "ETag": {"description": "For `If-None-Match`; the same as long as the body is.", "schema": {"type": "string"}},
    "Cache-Status": {
        "description": "Only on a stale answer (RFC 9211): for how many seconds it has been stale, below zero.",
        "schema": {"type": "string", "examples": ["experiment-operator; hit; ttl=-37"]},
    },
}


class Stale(Part):
    """The Kubernetes API server cannot be heard at present: things are as they were at `as_of`. `errors` say why."""

    as_of: datetime
    errors: list[str]

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9211; a negative time to live is the seconds for which the answer has been stale."""
        seconds = max(1, round((datetime.now(UTC) - self.as_of).total_seconds()))
        return {"Cache-Status": f"experiment-operator; hit; ttl=-{seconds}"}


def stale(caches: Caches, *resources: Resource) -> Stale | None:
    """Tell whether what `caches` say of `resources`, or of everything, may be out of date."""
    found = caches.staleness(*resources)
    return Stale(as_of=found.as_of, errors=list(found.errors)) if found else None


def conditional() -> dict[int | str, dict[str, Any]]:
    """Document the `responses` of a route that answers by `answer`."""
    return {200: {"headers": _HEADERS}, 304: {"description": "What `If-None-Match` names is what there is."}}


def answer(request: Request, body: Part, age: Stale | None = None) -> Response:
    """Answer with `body` as JSON, or 304 where the client has it already.

    The ETag is that of the bytes themselves, so it changes with whatever the body shows.
    """
    content = body.model_dump_json(by_alias=True).encode()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _ASK_AGAIN, **(age.headers if age else {})}
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _has(if_none_match: str, etag: str) -> bool:
    """Find any of a list, compared weakly (RFC 9110, 13.1.2): a proxy that compresses makes a strong tag weak."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


class CacheControl:
    """Without the header a client may guess, and keep even a 404."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", _ASK_AGAIN)
            await send(message)

        await self._app(scope, receive, marked)
