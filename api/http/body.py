"""How long the body of a request may be. `server.serving` puts it around all else.

Starlette's own limit would answer in plain text, where a client of the api expects a problem.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 3 * 1024 * 1024
"""What an API server takes, so that no Experiment is longer."""


class BodyLimit:
    """Refuses what is longer as soon as that is known: it is never in memory as a whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, f"A body of more than {MAX_BODY_BYTES:,} bytes is not read.")
            return message

        await self._app(scope, limited, send)
