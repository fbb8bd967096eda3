"""Runs watcher, worker and api, one of them or all in one process, until SIGTERM or Ctrl-C.

The three know nothing of each other: they meet in Temporal and in Kubernetes, also when they share a process.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import suppress

import structlog
import uvloop

from experiment_operator import logs
from experiment_operator.settings import Api, ServiceSettings, Watcher, Worker
from kube.client import KubeClient
from temporal.client import connect

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


def serve(settings: ServiceSettings) -> None:
    """Blocks until the process is asked to end. Raises `kube.errors.KubeError` where there is no way to a cluster."""
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(settings))
    # A process that ran a Temporal worker may otherwise crash while the interpreter is torn down (SDK issue 300).
    gc.collect()


async def _until_told(settings: ServiceSettings) -> None:
    running = asyncio.create_task(_serve(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running
    log.info("ended")


async def _serve(settings: ServiceSettings) -> None:
    async with await KubeClient.connect(settings.kubeconfig) as kube, asyncio.TaskGroup() as roles:
        if isinstance(settings, Watcher):
            roles.create_task(_watch(settings, kube), name="watcher")
        if isinstance(settings, Worker):
            roles.create_task(_work(settings, kube), name="worker")
        if isinstance(settings, Api):
            roles.create_task(_answer(settings, kube), name="api")


# Each role is imported where it begins: what the others need is memory for nothing.


async def _watch(settings: Watcher, kube: KubeClient) -> None:
    from watcher.main import run_watcher  # noqa: PLC0415

    temporal = await connect(lazy=True)
    await run_watcher(kube, temporal, settings.options, task_queue=settings.temporal_task_queue)


async def _work(settings: Worker, kube: KubeClient) -> None:
    """A worker cannot begin without Temporal, which may still be starting."""
    from worker.main import run_worker  # noqa: PLC0415

    while True:
        try:
            temporal = await connect(lazy=False)
            break
        except RuntimeError as error:  # what the SDK raises when it cannot connect
            log.warning("Temporal cannot be reached yet", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
    await run_worker(
        kube, temporal, settings.options, task_queue=settings.temporal_task_queue, sandbox=settings.workflow_sandbox
    )


async def _answer(settings: Api, kube: KubeClient) -> None:
    from api.main import ApiConfig, run_api  # noqa: PLC0415

    config = ApiConfig(
        host=settings.api_host,
        port=settings.api_port,
        auth=settings.api_auth,
        temporal_ui_url=str(settings.temporal_ui_url).rstrip("/"),
        options=settings.options,
        task_queue=settings.temporal_task_queue,
    )
    await run_api(kube, await connect(lazy=True), config)
