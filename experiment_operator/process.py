"""Runs watcher, worker and api, one of them or all in one process, until SIGTERM or Ctrl-C.

The three know nothing of each other: they meet in Temporal and in Kubernetes. In one process, watcher and worker share
their caches and, unless workers have versions, their client of Temporal.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import structlog
import uvloop
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion

from api.config import ApiConfig
from experiment_operator import logs
from experiment_operator.settings import All, Api, ReconcilingSettings, ServiceSettings, Watcher, Worker
from kube.caches import Caches
from kube.client import KubeClient
from kube.lease import Lease
from proxies.environment import ProxyError
from telemetry import tracing
from telemetry.health import Pulse, needs
from telemetry.listener import listening
from temporal import runtime
from temporal.client import connect
from temporal.probe import watch_temporal
from testkube.client import TestkubeClient

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
# Python looks for cycles after every 700 new objects, of which one call makes as many. Few of them ever are in one.
_GC_THRESHOLDS = (50_000, 20, 50)


def serve(settings: ServiceSettings) -> None:
    """Run the service. Blocks until the process is asked to end.

    Raises `kube.errors.KubeError` where there is no way to a cluster, `telemetry.errors.ListenError`, and ProxyError.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    logs.configure(settings.log_level, settings.log_format, settings.log_levels)
    with _observed(settings) as pulse, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_until_signal(settings, pulse))


@contextmanager
def _observed(settings: ServiceSettings) -> Iterator[Pulse]:
    """Serve metrics and probes, and send traces, from before the event loop begins until after it has ended."""
    pulse = Pulse()
    with (
        tracing.exporting(str(settings.otel_exporter_otlp_endpoint or ""), f"experiment-operator-{settings.word()}"),
        listening(settings.metrics_host, settings.metrics_port, pulse, runtime.start()) as port,
    ):
        log.info("metrics and probes are served", host=settings.metrics_host, port=port)
        yield pulse


async def _run_until_signal(settings: ServiceSettings, pulse: Pulse) -> None:
    running = asyncio.create_task(_serve(settings, pulse))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        with suppress(asyncio.CancelledError):
            await running
    except ExceptionGroup as group:
        if unusable := group.subgroup(ProxyError):
            raise unusable.exceptions[0] from None
        raise
    log.info("ended")


async def _serve(settings: ServiceSettings, pulse: Pulse) -> None:
    connected = await KubeClient.connect(settings.kubeconfig, role=settings.word())
    async with connected as kube, asyncio.TaskGroup() as roles:
        roles.create_task(watch_temporal(await connect(lazy=True)), name="Temporal")
        for role, kind in (("watcher", Watcher), ("worker", Worker), ("api", Api)):
            if isinstance(settings, kind):
                needs(role, lambda: ["it is starting"])  # until it says itself what it lacks
        if isinstance(settings, All):
            roles.create_task(_watch_and_work(settings, kube), name="watcher and worker")
        elif isinstance(settings, Watcher):
            roles.create_task(_watch(settings, kube, await connect(lazy=True)), name="watcher")
        elif isinstance(settings, Worker):
            roles.create_task(_work(settings, kube), name="worker")
        if isinstance(settings, Api):
            roles.create_task(_answer(settings, kube), name="api")
        roles.create_task(pulse.run(), name="pulse")


# Each role is imported where it begins: what the others need is memory for nothing.


async def _watch_and_work(settings: All, kube: KubeClient) -> None:
    """Run both with the same caches and, as a rule, on one client of Temporal: new runs then take no detour."""
    from watcher.main import watcher_caches  # noqa: PLC0415

    temporal, caches = await _connected(), watcher_caches(kube, settings.options)
    # Of workers with versions, Temporal chooses which one gets a new run: there is no way around it.
    starting = await _connected() if settings.temporal_worker_build_id else temporal
    async with asyncio.TaskGroup() as roles:
        roles.create_task(_watch(settings, kube, starting, caches), name="watcher")
        roles.create_task(_work(settings, kube, temporal, caches), name="worker")


async def _watch(settings: Watcher, kube: KubeClient, temporal: Client, caches: Caches | None = None) -> None:
    from watcher.main import run_watcher  # noqa: PLC0415

    lease = Lease(kube, settings.lease_namespace, settings.lease_name) if settings.leader_elect else None
    async with _testkube(settings) as testkube:
        await run_watcher(
            kube,
            temporal,
            settings.options,
            testkube,
            task_queue=settings.temporal_task_queue,
            search_attributes=settings.temporal_search_attributes,
            lease=lease,
            caches=caches,
        )


async def _connected() -> Client:
    """Connect to Temporal, which may still be starting. A worker cannot begin without it."""
    while True:
        try:
            return await connect(lazy=False)
        except RuntimeError as error:  # what the SDK raises when it cannot connect
            log.warning("Temporal cannot be reached yet", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)


async def _work(
    settings: Worker, kube: KubeClient, temporal: Client | None = None, caches: Caches | None = None
) -> None:
    from worker.main import run_worker  # noqa: PLC0415

    temporal = temporal or await _connected()
    async with _testkube(settings) as testkube:
        name, build_id = settings.temporal_deployment_name, settings.temporal_worker_build_id
        await run_worker(
            kube,
            temporal,
            settings.options,
            testkube,
            task_queue=settings.temporal_task_queue,
            sandbox=settings.workflow_sandbox,
            version=WorkerDeploymentVersion(name, build_id) if name and build_id else None,
            caches=caches,
        )


async def _answer(settings: Api, kube: KubeClient) -> None:
    from api.main import run_api  # noqa: PLC0415

    config = ApiConfig(
        host=settings.api_host,
        port=settings.api_port,
        auth=settings.api_auth,
        token_audiences=settings.api_token_audiences,
        tls_dir=settings.api_tls_dir,
        cors_origins=settings.api_cors_origins,
        behind_proxy=settings.api_behind_proxy,
        temporal_ui_url=str(settings.temporal_ui_url).rstrip("/"),
        options=settings.options,
        task_queue=settings.temporal_task_queue,
        search_attributes=settings.temporal_search_attributes,
        neighbour_check=settings.neighbour_check,
    )
    beside = partial(_run_webhook, settings, kube) if settings.webhook else None
    async with _testkube(settings) as testkube:
        await run_api(kube, await connect(lazy=True), config, testkube, beside)


@asynccontextmanager
async def _testkube(settings: ReconcilingSettings) -> AsyncIterator[TestkubeClient | None]:
    """Connect to the one Testkube that there is, if there is one."""
    if not settings.testkube_to_ask:
        yield None
        return
    async with TestkubeClient(settings.testkube_to_ask, settings.word()) as client:
        yield client


async def _run_webhook(settings: Api, kube: KubeClient, caches: Caches) -> None:
    """Run the webhook beside the api, on a listener of its own, which opens when there is a certificate."""
    from api.http.server import serving  # noqa: PLC0415
    from api.http.tls import Certificate  # noqa: PLC0415
    from webhook.app import create_webhook_app  # noqa: PLC0415
    from webhook.rotation import WebhookCertificates  # noqa: PLC0415

    app = create_webhook_app(caches, kube, settings.options, neighbour_check=settings.neighbour_check)

    async def serve(directory: Path) -> None:
        async with serving(app, settings.webhook_host, settings.webhook_port, Certificate(directory).context) as port:
            log.info("webhook listens", host=settings.webhook_host, port=port)
            await asyncio.Event().wait()

    if settings.webhook_tls_dir:
        await serve(settings.webhook_tls_dir)
        return
    name, namespace = settings.webhook_name, settings.webhook_namespace
    with tempfile.TemporaryDirectory(prefix="webhook-") as directory:
        certificates = WebhookCertificates(
            kube,
            Lease(kube, namespace, name),
            namespace=namespace,
            secret=name,
            hosts=settings.webhook_hosts or (f"{name}.{namespace}.svc",),
            configuration=settings.webhook_configuration,
            directory=Path(directory),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(certificates.run())
            await certificates.wait_ready()
            await serve(Path(directory))
