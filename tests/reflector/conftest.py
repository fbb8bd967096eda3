"""Reflectors to watch a Kubernetes API that misbehaves on request, and the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest
from kubernetes_asyncio.client import Configuration

from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Resource, Source
from kube.reflector import Change, Reflector
from support.background import running
from support.fake_api import FakeApi, Told

Watching: TypeAlias = Callable[..., AbstractAsyncContextManager[Reflector]]
Caching: TypeAlias = Callable[..., AbstractAsyncContextManager[Caches]]


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
        reflector = Reflector(default_client, source, told, **({"first_pause": 0.001, "max_pause": 0.01} | times))
        async with running(reflector.run()):
            yield reflector

    return run


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as fake:
        yield fake


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    """Connected to the fake."""
    async with KubeClient(Configuration(host=api.url)) as connected:
        yield connected


@pytest.fixture
def real(kube: KubeClient) -> KubeClient:
    """Connected to the real API server."""
    return kube


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
        async with running(caches.run()):
            yield caches

    return run
