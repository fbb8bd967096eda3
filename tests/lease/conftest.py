"""Candidates for one Lease, and watchers in processes of their own, on a cluster that these tests may stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from kube.client import KubeClient
from localcluster import LocalCluster
from support.candidates import Candidates
from support.processes import Start, processes
from support.world import World, remove_experiments


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """A world whose Experiments are gone before others start a service on this cluster."""
    yield world
    await remove_experiments(world.kube)


@pytest.fixture
async def candidates(
    cluster: LocalCluster, kube: KubeClient, namespace: str, tmp_path: Path
) -> AsyncIterator[Candidates]:
    """For a Lease that does not exist yet. Whatever the test does: two of them never work at the same time."""
    found = Candidates(cluster, kube, namespace, tmp_path)
    yield found
    await found.close()
    assert found.most_at_once <= 1


@pytest.fixture
async def start_watcher(cluster: LocalCluster, namespace: str, tmp_path: Path) -> AsyncIterator[Start]:
    """`await start_watcher()`: a candidate for the Lease `leader` in the namespace of `candidates`."""
    chosen = {"TEMPORAL_TASK_QUEUE": namespace, "TESTKUBE_NAMESPACE": "."}
    lease = {"LEADER_ELECT": "true", "LEASE_NAMESPACE": namespace, "LEASE_NAME": "leader"}
    async with processes({**cluster.env(), **chosen, **lease}, tmp_path) as start:
        yield partial(start, "watcher")
