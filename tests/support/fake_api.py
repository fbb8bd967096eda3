"""A Kubernetes API that misbehaves on request, for what a real one cannot be made to do, and who hears of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeAlias

from aiohttp import web

from kube.objects import Object
from kube.reflector import Change

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApi:
    """Answers lists and watches by a script: each request takes the next answer, the last one serves all later ones."""

    def __init__(self) -> None:
        self.url = ""
        self.closing = asyncio.Event()
        self.lists: list[Answer] = []
        self.watches: list[Answer] = []
        self.list_queries: list[dict[str, str]] = []
        self.watch_queries: list[dict[str, str]] = []
        self.times: list[float] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closing.set()
        await self._runner.cleanup()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        is_watch = "watch" in request.query
        script = self.watches if is_watch else self.lists
        (self.watch_queries if is_watch else self.list_queries).append(dict(request.query))
        self.times.append(asyncio.get_running_loop().time())
        return await (script.pop(0) if len(script) > 1 else script[0])(request)

    @staticmethod
    def page(version: int, *objects: Object, more: str = "") -> Answer:
        """A page of a list; `more` is its continue token."""

        async def answer(_: web.Request) -> web.StreamResponse:
            meta = {"resourceVersion": str(version), "continue": more}
            return web.json_response({"metadata": meta, "items": objects})

        return answer

    @staticmethod
    def failing(status: int, body: str | Object = "", *, retry_after: str = "") -> Answer:
        """An error: a Status object, or text as a proxy would send it."""
        headers = {"Retry-After": retry_after} if retry_after else {}

        async def answer(_: web.Request) -> web.StreamResponse:
            if isinstance(body, str):
                return web.Response(text=body, status=status, headers=headers, content_type="text/html")
            return web.json_response({"kind": "Status", **body}, status=status, headers=headers)

        return answer

    def stream(self, *lines: bytes, hold: bool = True) -> Answer:
        """A watch that sends this and then says nothing for ever, or else closes at once."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            for line in lines:
                await response.write(line)
            if hold:
                await self.closing.wait()
            return response

        return answer

    @staticmethod
    def event(kind: str, obj: Object) -> bytes:
        return json.dumps({"type": kind, "object": obj}).encode() + b"\n"

    @staticmethod
    def config_map(name: str, version: int = 1, **metadata: Any) -> Object:
        metadata = {"namespace": "default", "name": name, "resourceVersion": str(version), **metadata}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class Told:
    """What subscribers were told, in a form that reads well in assertions."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.poison = ""
        """The name of an object that this subscriber cannot stomach."""
        self.look: Callable[[], object] = lambda: None
        """What else it looks at when it is told; the answers are in `seen`."""
        self.seen: list[object] = []

    def __call__(self, change: Change) -> None:
        self.changes.append(change)
        self.seen.append(self.look())
        if change.ref is not None and change.ref.name == self.poison:
            raise ValueError("cannot stomach this")

    @property
    def words(self) -> list[str]:
        return [_in_words(change) for change in self.changes]


def _in_words(change: Change) -> str:
    if change.ref is None:
        return "availability"
    verb = "added" if change.old is None else "deleted" if change.new is None else "changed"
    return f"{verb} {change.ref.name}"
