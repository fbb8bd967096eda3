"""The watcher process: caches of everything that plans read, and a dispatcher that starts workflows."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client

from experiments.options import Options
from experiments.reconciliation import SIGNAL, WORKFLOW_TYPE, Reconcile, Target, Wakeup, memo
from experiments.snapshot import sources
from kube.caches import Caches
from kube.client import KubeClient
from watcher.dispatcher import Dispatcher, Start
from watcher.snapshots import Snapshots

log = structlog.get_logger(__name__)

_RPC_TIMEOUT = timedelta(seconds=10)
_SUMMARY_LENGTH = 200


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


def starter(temporal: Client, task_queue: str) -> Start:
    async def start(target: Target, wakeup: Wakeup) -> str:
        """Signal-with-start: wakes the open run of this Experiment, or begins one. Never two at a time."""
        handle = await temporal.start_workflow(
            WORKFLOW_TYPE,
            Reconcile(target),
            id=target.workflow_id,
            task_queue=task_queue,
            start_signal=SIGNAL,
            start_signal_args=[wakeup],
            memo=memo(target, wakeup.reasons),
            static_summary=", ".join(wakeup.reasons)[:_SUMMARY_LENGTH],
            static_details=f"Experiment {target.namespace}/{target.name} (uid {target.uid})",
            rpc_timeout=_RPC_TIMEOUT,
        )
        return handle.result_run_id or ""

    return start
