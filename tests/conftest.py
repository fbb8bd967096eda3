"""Clusters for the folders of tests, one at a time, and what most of them need of one.

A test that asks for `cluster`, or for what stands on it, gets that of its folder. It has the project's CRDs and ends,
with all fixtures that stand on it, when the next test belongs to another folder. A folder that wants more than that
overrides `cluster` in its conftest.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client

from kube.caches import Caches
from kube.client import KubeClient
from localcluster import LocalCluster
from support.background import running
from support.clusters import CRDS, all_caches, connect_temporal
from support.scheduling import UnitScheduling, cluster_of, turn_of
from support.world import World, new_namespace

# A shell has what runs in its background ignore Ctrl-C, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> UnitScheduling | None:
    return UnitScheduling(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", action="store_true", help="write the pictures of docs/pictures anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn_of(item.nodeid))
    for item in items:
        if "folder" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tie what stands on a cluster to the folder: pytest ends it before it makes the same for another one."""
    if "folder" in metafunc.fixturenames:
        name = cluster_of(metafunc.definition.nodeid)
        metafunc.parametrize("folder", [name], ids=[pytest.HIDDEN_PARAM], indirect=True, scope="session")


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest) -> str:
    """Whose cluster it is. A folder whose tests start clusters asks for it, too: it ends that of the folder before."""
    return str(request.param)


@pytest.fixture(scope="session")
async def cluster(folder: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    """A running cluster with the project's CRDs, whose Temporal keeps its data while a test stops it."""
    database = tmp_path_factory.mktemp(folder) / "temporal.db"
    async with LocalCluster.start(temporal_db=database) as started:
        await started.install(CRDS)
        yield started


@pytest.fixture(scope="session")
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    """An administrator's client."""
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    return await connect_temporal(cluster)


@pytest.fixture(scope="session")
async def caches(kube: KubeClient) -> AsyncIterator[Caches]:
    """Filled, and kept up to date."""
    filled = all_caches(kube)
    async with running(filled.run()):
        await filled.wait_synced()
        yield filled


@pytest.fixture
async def namespace(kube: KubeClient, folder: str) -> str:
    """One that no other test has."""
    return await new_namespace(kube, folder)


@pytest.fixture
async def world(cluster: LocalCluster, kube: KubeClient, temporal: Client, namespace: str) -> World:
    """The test's own namespace, and the questions that tests ask of the cluster."""
    return World(cluster, kube, temporal, namespace)
