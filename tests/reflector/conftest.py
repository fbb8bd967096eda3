"""A Kubernetes API that misbehaves on request, for what a real one cannot be made to do, and reflectors to watch it.

Test files cannot import from here, so what they need beyond fixtures hangs on `FakeApi`.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web
from kubernetes_asyncio.client import Configuration

from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Object, Resource, Source
from kube.reflector import Change, Reflector
from localcluster import LocalCluster

NAMESPACE = Resource("v1", "Namespace", "namespaces")

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


Watching: TypeAlias = Callable[..., AbstractAsyncContextManager[Reflector]]
Caching: TypeAlias = Callable[..., AbstractAsyncContextManager[Caches]]
Until: TypeAlias = Callable[[Callable[[], object]], Awaitable[None]]


def _watching(default_client: KubeClient, told: Told) -> Watching:
    @asynccontextmanager
    async def run(
        resource: Resource = CONFIG_MAP,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        **times: float,
    ) -> AsyncIterator[Reflector]:
        source = Source(resource, namespace, label_selector, field_selector)
        reflector = Reflector(default_client, source, told, **({"first_pause": 0.001, "longest_pause": 0.01} | times))
        async with _running(reflector.run()):
            yield reflector

    return run


@asynccontextmanager
async def _running(forever: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(forever)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest_asyncio.fixture
async def api() -> AsyncIterator[FakeApi]:
    fake = FakeApi()
    app = web.Application()
    app.router.add_get("/{path:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    fake.closing.set()
    await runner.cleanup()


@pytest_asyncio.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    """Connected to the fake."""
    async with KubeClient(Configuration(host=api.url)) as connected:
        yield connected


@pytest_asyncio.fixture
async def real(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    """Connected to the real API server."""
    async with await KubeClient.connect(cluster.kubeconfig) as connected:
        yield connected


@pytest_asyncio.fixture
async def namespace(real: KubeClient) -> str:
    """A new one on the real API server, for one test."""
    name = f"reflector-{uuid.uuid4().hex[:8]}"
    await real.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def watching(client: KubeClient, told: Told) -> Watching:
    """`async with watching() as reflector`: one that runs on the fake, with short pauses."""
    return _watching(client, told)


@pytest.fixture
def watching_real(real: KubeClient, told: Told) -> Watching:
    """The same on the real API server."""
    return _watching(real, told)


@pytest.fixture
def caching() -> Caching:
    """`async with caching(client, source, ...) as caches`, with each change told to `told`."""

    @asynccontextmanager
    async def run(client: KubeClient, *sources: Source, told: Callable[[Change], None]) -> AsyncIterator[Caches]:
        caches = Caches(client, sources)
        caches.subscribe(told)
        async with _running(caches.run()):
            yield caches

    return run


@pytest.fixture
def until() -> Until:
    """`await until(condition)`: fails after a generous while."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110  a test may wait for anything
                await asyncio.sleep(0.005)

    return wait
