"""A cluster on which the Go operator was at work: what it leaves behind, written as it writes it.

The service is not running; a test starts it (`serve`) when it wants to. The command is the real one, in a process.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from temporalio.client import Client

from experiment_operator.commands.migrate import take_over
from experiment_operator.settings import Migrate
from experiments.names import CHILD_SUFFIXES
from experiments.options import Options
from kube.client import KubeClient
from kube.objects import Source
from localcluster import LocalCluster
from support.background import running
from support.clusters import TEMPLATES, install_testkube
from support.go_operator import Diary, GoOperator
from support.processes import COMMAND, Answer
from support.world import World, remove_experiments
from watcher.main import run_watcher
from worker.main import run_worker


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture
def serve(kube: KubeClient, temporal: Client) -> Callable[..., AbstractAsyncContextManager[None]]:
    """`async with serve(options):` watcher and worker while the block lasts."""

    def start(options: Options) -> AbstractAsyncContextManager[None]:
        queue = f"migrate-{uuid.uuid4().hex[:8]}"
        return running(
            run_watcher(kube, temporal, options, task_queue=queue),
            run_worker(kube, temporal, options, task_queue=queue, sandbox=True),
        )

    return start


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """With the templates in its own namespace as well. Its Experiments are gone before the next test."""
    await world.cluster.kubectl("apply", "-n", world.namespace, "-f", str(TEMPLATES))
    yield world
    await remove_experiments(world.kube)


@pytest.fixture
def migrate(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> Callable[..., Awaitable[Answer]]:
    """`await migrate(dry_run=True, testkube_namespace=".")`: the command, and what it says."""

    async def run(**flags: Any) -> Answer:
        capsys.readouterr()
        code = await take_over(Migrate(kubeconfig=cluster.kubeconfig, **flags))
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def killed_migration(cluster: LocalCluster) -> Callable[..., Any]:
    """Starts the command in a process of its own and kills it as soon as that has said something."""

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "migrate-from-go-operator"),
            env={**os.environ, **cluster.env(), "PYTHONUNBUFFERED": "1"},
            stdout=PIPE,
        )
        assert process.stdout
        await process.stdout.readline()
        process.kill()
        await process.communicate()

    return run


@pytest.fixture
def go_operator(cluster: LocalCluster, kube: KubeClient) -> GoOperator:
    return GoOperator(cluster, kube)


@pytest.fixture
def diary(kube: KubeClient) -> Callable[..., AbstractAsyncContextManager[Diary]]:
    """`async with diary() as kept:` what happens while the block lasts; to be read after it."""

    @asynccontextmanager
    async def keep() -> AsyncIterator[Diary]:
        since = {kind: [version async for _, version in kube.list_pages(Source(kind))][-1] for kind in CHILD_SUFFIXES}
        kept = Diary()
        yield kept
        await asyncio.gather(*(kept.read(kube, kind, version) for kind, version in since.items()))

    return keep
