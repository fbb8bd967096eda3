"""The REST application as it listens, on the real API server with RBAC, and ServiceAccounts with real tokens."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from api.auth.kubernetes import Access, ByKubernetes
from api.config import ApiConfig
from api.http.server import serving
from experiments.options import Options
from experiments.resources import EXPERIMENT
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import ObjectRef
from localcluster import LocalCluster
from localcluster.certificates import Authority, KeyPair

_RBAC = "rbac.authorization.k8s.io"
_OPTIONS = Options()


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    return await Client.connect(cluster.temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture(scope="session")
async def kube(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def caches(kube: KubeClient) -> AsyncIterator[Caches]:
    filled = Caches(kube, [*sources(_OPTIONS), *name_sources(_OPTIONS)])
    task = asyncio.create_task(filled.run())
    await filled.wait_synced()
    yield filled
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


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


@dataclass
class People:
    """ServiceAccounts, each in namespace `home` of its own test module, and what they may do."""

    cluster: LocalCluster
    home: str
    tokens: dict[str, str] = field(default_factory=dict)

    async def add(self, name: str, *grants: tuple[str, str]) -> None:
        """Each grant is a namespace, or `*` for all of them, and verbs: `("default", "get list")`."""
        items: list[dict[str, Any]] = [self._object("ServiceAccount", "v1", self.home, name)]
        for number, (namespace, verbs) in enumerate(grants):
            items += self.role(f"{name}-{number}", namespace, verbs, self.subject(name))
        await self.apply(items)
        self.tokens[name] = (await self.cluster.kubectl("create", "token", name, "-n", self.home)).strip()

    async def apply(self, items: list[dict[str, Any]]) -> None:
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        await self.cluster.kubectl("apply", "-f", "-", stdin=document)

    def role(self, name: str, namespace: str, verbs: str, subject: dict[str, str]) -> list[dict[str, Any]]:
        """The role and its binding, of the same name."""
        cluster = "Cluster" if namespace == "*" else ""
        rule = {"apiGroups": ["testbench.agentic-layer.ai"], "resources": ["experiments"], "verbs": verbs.split()}
        name = f"{self.home}-{name}"
        role = self._object(f"{cluster}Role", f"{_RBAC}/v1", namespace, name)
        binding = self._object(f"{cluster}RoleBinding", f"{_RBAC}/v1", namespace, name)
        ref = {"apiGroup": _RBAC, "kind": role["kind"], "name": name}
        return [{**role, "rules": [rule]}, {**binding, "subjects": [subject], "roleRef": ref}]

    def subject(self, name: str) -> dict[str, str]:
        return {"kind": "ServiceAccount", "name": name, "namespace": self.home}

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    @staticmethod
    def _object(kind: str, version: str, namespace: str, name: str) -> dict[str, Any]:
        meta = {"name": name, **({} if namespace == "*" else {"namespace": namespace})}
        return {"apiVersion": version, "kind": kind, "metadata": meta}


@pytest.fixture(scope="module")
async def namespaces(cluster: LocalCluster, kube: KubeClient, caches: Caches, until: Callable[..., Any]) -> list[str]:
    """Two, each with an Experiment `weather` that the caches know."""
    names = [f"access-{letter}-{uuid4().hex[:8]}" for letter in "ab"]
    for name in names:
        await cluster.kubectl("create", "namespace", name)
        scenarios = [{"name": "rain", "steps": [{"input": "Will it rain?"}]}]
        obj = {
            "apiVersion": EXPERIMENT.api_version,
            "kind": EXPERIMENT.kind,
            "metadata": {"namespace": name, "name": "weather"},
            "spec": {"agentRef": {"name": "weather-agent"}, "scenarios": scenarios},
        }
        await kube.create(EXPERIMENT, obj)
    refs = [ObjectRef(EXPERIMENT, name, "weather") for name in names]

    async def known() -> bool:
        return all(caches.get(ref) for ref in refs)

    await until(known)
    return names


@pytest.fixture(scope="module")
async def people(cluster: LocalCluster, namespaces: list[str]) -> People:
    return People(cluster, namespaces[0])


class Asking(KubeClient):
    """Remembers what was asked, and asks it. `gate` holds the questions back while it is closed."""

    asked: list[tuple[str, dict[str, Any]]]
    gate: asyncio.Event

    async def create_review(self, resource: Any, question: Any) -> Any:
        self.asked.append((resource.kind, question["spec"]))
        await self.gate.wait()
        return await super().create_review(resource, question)

    def count(self, kind: str) -> int:
        return sum(asked == kind for asked, _ in self.asked)


@pytest.fixture
async def asking(kubeconfig: Path) -> AsyncIterator[Asking]:
    async with await Asking.connect(kubeconfig) as client:
        client.asked, client.gate = [], asyncio.Event()
        client.gate.set()
        yield client


class Secret:
    """A directory as the kubelet mounts a Secret: the files are links, and an update moves one link."""

    def __init__(self, directory: Path) -> None:
        self.directory, self._authority, self._count = directory, Authority(), 0
        directory.mkdir()
        for name in ("tls.crt", "tls.key"):
            (directory / name).symlink_to(Path("..data") / name)
        self.rotate()

    def issue(self) -> KeyPair:
        return self._authority.serving()

    def put(self, certificate: bytes, key: bytes) -> None:
        self._count += 1
        version = self.directory / f"..version-{self._count}"
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate)
        (version / "tls.key").write_bytes(key)
        link = self.directory / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self.directory / "..data")

    def rotate(self) -> str:
        """The new certificate."""
        pair = self.issue()
        self.put(pair.certificate, pair.key)
        return pair.certificate.decode()

    @property
    def trust(self) -> ssl.SSLContext:
        """Of a client that trusts whoever issues these certificates."""
        return ssl.create_default_context(cadata=self._authority.certificate.decode())


@pytest.fixture
def secret(tmp_path: Path) -> Secret:
    return Secret(tmp_path / "tls")


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """`await until(condition)`, a coroutine function: asks until it is true."""

    async def wait(condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while True:
                if await condition():
                    return
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def port() -> int:
    """One that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
    return number
