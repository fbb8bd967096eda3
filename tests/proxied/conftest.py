"""A cluster, its Temporal and a Testkube behind names that lead nowhere, but for a proxy that knows them.

On this machine itself nothing is ever reached through a proxy, so they need names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from localcluster import LocalCluster
from support.clusters import install_testkube
from support.proxy import ForwardProxy
from support.testkube import TestkubeStandIn

_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
KUBERNETES, TEMPORAL, TESTKUBE = "kubernetes.example:6443", "temporal.example:7233", "testkube.example:8088"

Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture(scope="session")
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as running:
        yield running


@pytest.fixture
async def proxy(cluster: LocalCluster, testkube: TestkubeStandIn) -> AsyncIterator[ForwardProxy]:
    routes = {KUBERNETES: urlsplit(cluster.api_url).netloc, TEMPORAL: cluster.temporal_address}
    async with ForwardProxy({**routes, TESTKUBE: urlsplit(testkube.url).netloc}) as running:
        yield running


@pytest.fixture
def kubeconfig(cluster: LocalCluster, tmp_path: Path) -> Callable[..., Path]:
    """`kubeconfig(**more)`: of an administrator, with the name instead of the address; `more` is of the cluster."""

    def write(**more: str) -> Path:
        content = yaml.safe_load(cluster.kubeconfig.read_text())
        named = {"server": f"https://{KUBERNETES}", "tls-server-name": "localhost"}
        content["clusters"][0]["cluster"] |= named | more
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture
def environ(without_proxies: pytest.MonkeyPatch, kubeconfig: Callable[..., Path]) -> dict[str, str]:  # noqa: ARG001
    """That of a process which knows the three by their names."""
    named = {"TEMPORAL_ADDRESS": TEMPORAL, "TESTKUBE_API_URL": f"http://{TESTKUBE}", "METRICS_PORT": "0"}
    return {**os.environ, **named, "KUBECONFIG": str(kubeconfig()), "TEMPORAL_CONFIG_FILE": os.devnull}


@pytest.fixture
def run() -> Run:
    """`await run(environ, "doctor")`: the exit code and both streams of a command."""

    async def to_its_end(environ: Mapping[str, str], *arguments: str) -> tuple[int, str]:
        process = await create_subprocess_exec(
            *(sys.executable, "-m", "experiment_operator", *arguments),
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        printed = (await process.communicate())[0].decode()
        assert process.returncode is not None
        return process.returncode, printed

    return to_its_end
