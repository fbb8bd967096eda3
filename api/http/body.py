"""How long the body of a request may be. `server.serving` puts it around all else.

A few megabytes of JSON become a hundred in memory, so only who expects an Experiment takes so much, and counts the
values in it before it is parsed.

Starlette's own limit would answer in plain text, where a client of the api expects a problem.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.limits import MAX_BYTES

_WITH_EXPERIMENT = ("/plan", "/validate")
_MAX_OTHER_BYTES = 64 * 1024


class BodyLimit:
    """Refuses what is longer as soon as that is known: it is never in memory as a whole."""

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
