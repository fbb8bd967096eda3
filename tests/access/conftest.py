"""The REST application as it listens, on the real API server with RBAC, and ServiceAccounts with real tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from api.auth.kubernetes import Access, ByKubernetes
from api.config import ApiConfig
from api.http.server import serving
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import ObjectRef
from localcluster import LocalCluster
from localcluster.processes import free_port
from support.mounted_secret import MountedSecret
from support.people import Asking, People
from support.polling import until
from support.world import World, new_namespace


@pytest.fixture(scope="session")
def application(caches: Caches, temporal: Client) -> Callable[[Access], FastAPI]:
    return lambda access: create_app(caches, temporal, access, ApiConfig())


@pytest.fixture(scope="session")
def serve(application: Callable[[Access], FastAPI]) -> Callable[..., Any]:
    """`async with serve(access) as api`: a client of the application, which listens on a port of its own."""

    @asynccontextmanager
    async def connect(access: Access) -> AsyncIterator[httpx.AsyncClient]:
        async with (
            serving(application(access), "127.0.0.1", 0) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            yield http

    return connect


@pytest.fixture(scope="session")
async def api(serve: Callable[..., Any], kube: KubeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(ByKubernetes(kube)) as http:
        yield http


@pytest.fixture(scope="module")
async def namespaces(cluster: LocalCluster, kube: KubeClient, temporal: Client, caches: Caches) -> list[str]:
    """Two, each with an Experiment `weather` that the caches know."""
    names = [await new_namespace(kube, f"access-{letter}") for letter in "ab"]
    for name in names:
        await World(cluster, kube, temporal, name).create("weather")
    await until(lambda: all(caches.get(ObjectRef(EXPERIMENT, name, "weather")) for name in names))
    return names


@pytest.fixture(scope="module")
async def people(cluster: LocalCluster, namespaces: list[str]) -> People:
    return People(cluster, namespaces[0])


@pytest.fixture
async def asking(cluster: LocalCluster) -> AsyncIterator[Asking]:
    async with await Asking.connect(cluster.kubeconfig) as client:
        client.asked, client.gate = [], asyncio.Event()
        client.gate.set()
        yield client


@pytest.fixture
def secret(tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path / "tls")


@pytest.fixture
def port() -> int:
    """One that was free a moment ago."""
    return free_port()
