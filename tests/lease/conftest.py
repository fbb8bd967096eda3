"""Candidates for one Lease, and watchers in processes of their own, on a cluster that these tests may stop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kube.client import KubeClient
from localcluster import LocalCluster
from support.candidates import Candidates
from support.processes import ServiceProcess
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
async def start_watcher(
    cluster: LocalCluster, namespace: str, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[ServiceProcess]]]:
    """Each is a candidate for the Lease `leader` in the namespace of `candidates`."""
    started: list[ServiceProcess] = []
    chosen = {"TEMPORAL_TASK_QUEUE": namespace, "TESTKUBE_NAMESPACE": "."}
    lease = {"LEADER_ELECT": "true", "LEASE_NAMESPACE": namespace, "LEASE_NAME": "leader"}

    async def start() -> ServiceProcess:
        log = tmp_path / f"watcher-{len(started)}.log"
        started.append(await ServiceProcess.start("watcher", log, {**cluster.env(), **chosen, **lease}))
        return started[-1]

    yield start
    for watcher in started:
        await watcher.kill()
