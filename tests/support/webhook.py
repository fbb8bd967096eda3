"""What the API server asks, and what kubectl says then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from support.processes import Answer

_AWAY = PlainTextResponse("away", 503)


class Webhook:
    """What the API server asks: `calls` counts how often, `asked` are the operations in question.

    A question may arrive when the API server waits for the answer no more, and what it is about has been done.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.calls = app, 0
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        body = await Request(scope, receive).body()
        self.asked.append(json.loads(body)["request"]["operation"])

        async def again() -> Message:
            return {"type": "http.request", "body": body}

        await self.app(scope, again, send)

    @contextmanager
    def answered_by(self, app: ASGIApp) -> Iterator[None]:
        usual, self.app = self.app, app
        try:
            yield
        finally:
            self.app = usual

    @contextmanager
    def away(self) -> Iterator[None]:
        with self.answered_by(_AWAY):
            yield


@dataclass(frozen=True)
class Said(Answer):
    """What kubectl says of an Experiment."""

    @property
    def warnings(self) -> list[str]:
        return [line.removeprefix("Warning: ") for line in self.err.splitlines() if line.startswith("Warning: ")]

    @property
    def refusal(self) -> str:
        """Without the warnings; empty where it has passed."""
        return "\n".join(line for line in self.err.splitlines() if not line.startswith("Warning: "))
