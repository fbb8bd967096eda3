"""The watcher process: caches of everything that plans read, and a dispatcher that starts workflows."""

from __future__ import annotations

import asyncio

import structlog
from temporalio.client import Client

from experiments.options import Options
from experiments.snapshot import sources
from kube.caches import Caches
from kube.client import KubeClient
from temporal.client import starter
from watcher.dispatcher import Dispatcher
from watcher.snapshots import Snapshots

log = structlog.get_logger(__name__)


async def run_watcher(client: KubeClient, temporal: Client, options: Options, *, task_queue: str) -> None:
    """Watches until cancelled. Nothing is started before the first lists are complete."""
    caches = Caches(client, sources(options))
    dispatcher = Dispatcher(Snapshots(caches, options), client, starter(temporal, task_queue))
    caches.subscribe(dispatcher.observe)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(caches.run())
        await caches.wait_synced()
        log.info("watcher is ready")
        await dispatcher.run()
