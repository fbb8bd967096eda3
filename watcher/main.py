"""The watcher process: caches of everything that plans read, and a dispatcher that starts workflows.

Several may run. With a Lease, the one that holds it dispatches, and the others keep their caches filled and wait. What
that saves is work: two that dispatch at once wake the same run, since an Experiment has at most one open run.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from temporalio.client import Client

from experiments.contract import Target, WakeSignal
from experiments.options import Options
from experiments.snapshot import sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.lease import Lease
from kube.reflector import Change
from telemetry.health import needs
from temporal.client import Start, starter
from temporal.stuck import end_stuck_run
from watcher.dispatcher import Dispatcher
from watcher.snapshots import Snapshots

log = structlog.get_logger(__name__)

_EVERYTHING = Change(None, None, None)


class NotLeadingError(Exception):
    """Another may lead already: what was about to be started is left to whoever leads."""


async def run_watcher(
    client: KubeClient,
    temporal: Client,
    options: Options,
    *,
    task_queue: str,
    search_attributes: bool = False,
    lease: Lease | None = None,
) -> None:
    """Watch until cancelled. Nothing is started before the first lists are complete, nor without a given `lease`."""
    caches = Caches(client, sources(options))
    start = starter(temporal, task_queue, search_attributes=search_attributes)
    start = _while_held(lease, start) if lease else start
    dispatcher = Dispatcher(Snapshots(caches, options), client, start, partial(end_stuck_run, temporal))
    caches.subscribe(dispatcher.observe)

    async def dispatch() -> None:
        dispatcher.observe(_EVERYTHING)  # a later term finds what others have left undone in the meantime
        await dispatcher.run()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(caches.run())
        needs("watcher", caches.missing)
        await caches.freeze()
        log.info("watcher is ready")
        await (lease.lead(dispatch) if lease else dispatch())


def _while_held(lease: Lease, start: Start) -> Start:
    async def start_while_held(target: Target, wakeup: WakeSignal) -> str:
        if not lease.held():  # after a pause of the process, which is about to hear that it leads no more
            raise NotLeadingError(f"the lease was lost before a run of {target.workflow_id} was started")
        return await start(target, wakeup)

    return start_while_held
