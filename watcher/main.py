"""The watcher process: caches of everything that plans read, and a dispatcher that starts workflows.

Where Testkube can be asked, executions are observed as well. Several may run. With a Lease, the one that holds it
dispatches and observes, and the others keep their caches filled and wait. What that saves is work: two that dispatch at
once wake the same run, since an Experiment has at most one open run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

import structlog
from temporalio.client import Client

from experiments.names import CHILD_SUFFIXES
from experiments.options import Options
from experiments.resources import EXPERIMENT
from experiments.snapshot import sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.lease import Lease
from kube.reflector import Change
from telemetry.health import needs
from temporal.client import starter
from temporal.executions import ended_followers, follower, requester
from temporal.stuck import end_stuck_run
from testkube.client import TestkubeClient
from watcher.dispatcher import Dispatcher
from watcher.executions import ExecutionObserver, Times
from watcher.following import Following
from watcher.snapshots import Snapshots

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_EVERYTHING = Change(None, None, None)


def watcher_caches(client: KubeClient, options: Options) -> Caches:
    """Make caches of all that plans read. Settled Experiments are many, and rarely looked at."""
    return Caches(client, sources(options), compact=(EXPERIMENT, *CHILD_SUFFIXES))


class NotLeadingError(Exception):
    """Another may lead already: what was about to be started is left to whoever leads."""


async def run_watcher(
    client: KubeClient,
    temporal: Client,
    options: Options,
    testkube: TestkubeClient | None = None,
    *,
    task_queue: str,
    search_attributes: bool = False,
    lease: Lease | None = None,
    times: Times | None = None,
    caches: Caches | None = None,
) -> None:
    """Watch until cancelled. Nothing is started before the first lists are complete, nor without a given `lease`.

    Executions are observed where there is a `testkube`, which is polled at these `times`. `caches`, which nobody
    else runs, are given where a worker in this process reads there, too; if it has this client of Temporal, it gets
    new runs without a detour.
    """
    beside_worker = caches is not None
    begin = starter(temporal, task_queue, search_attributes=search_attributes, beside_worker=beside_worker)
    start = _while_held(lease, begin)
    caches = caches or watcher_caches(client, options)
    end_stuck = partial(end_stuck_run, temporal)
    dispatcher = Dispatcher(Snapshots(caches, options), client, start, end_stuck, beside_worker=beside_worker)
    caches.subscribe(dispatcher.observe)
    observer = None
    if testkube:
        follow = _while_held(lease, follower(temporal, task_queue, search_attributes=search_attributes))
        request = _while_held(lease, requester(temporal, task_queue, search_attributes=search_attributes))
        following = Following(client, caches, follow, request)
        caches.subscribe(following.observe)
        ended = ended_followers(temporal)
        observer = ExecutionObserver(client, caches, testkube, options, following, ended=ended, times=times)

    async def work() -> None:
        dispatcher.observe(_EVERYTHING)  # a later term finds what others have left undone in the meantime
        async with asyncio.TaskGroup() as working:
            working.create_task(dispatcher.run())
            if observer:
                working.create_task(observer.run())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(caches.run())
        needs("watcher", caches.missing)
        await caches.freeze()
        log.info("watcher is ready")
        await (lease.lead(work) if lease else work())


def _while_held(lease: Lease | None, start: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    async def start_while_held(*args: P.args, **kwargs: P.kwargs) -> T:
        if lease and not lease.held():  # after a pause of the process, which is about to hear that it leads no more
            raise NotLeadingError(f"the lease was lost before this was started: {args}")
        return await start(*args, **kwargs)

    return start_while_held
