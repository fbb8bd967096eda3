"""What `demo` and `dev` run on this machine: a local cluster, the service and a simulation of Testkube as processes.

No agent runs: there are an Agent and a Deployment of that name, whose image the simulated scores follow from.

The service is the command `all`, started as anybody would start it. It inherits the environment, so that settings like
LOG_LEVEL reach it. When one of the two processes ends by itself, the stack fails with the last lines of its log.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

import crds
from experiment_operator.resources import SAMPLES, TEMPLATES, WEBHOOK
from localcluster import LocalCluster, LocalClusterError
from localcluster.processes import Process, on_free_ports
from localcluster.rollouts import FINISHED_ROLLOUT, status_of

NAMESPACE = "sample-agents"
TESTKUBE_NAMESPACE = "testkube"
SERVICE_NAMESPACE = "experiment-operator"
WEBHOOK_HOST = "127.0.0.1"
SAMPLE = SAMPLES / "experiment-scenarios.yaml"
AGENT = "weather-agent"
AGENT_URL = f"http://{AGENT}.{NAMESPACE}.svc.cluster.local:8000"
AGENT_IMAGE = "weather-agent:0.1.0"
_AGENT_STATUS = {"status": {"url": f"{AGENT_URL}/.well-known/agent-card.json"}}
_ROLLED_OUT = datetime(2026, 1, 1, tzinfo=UTC)
"""When the Deployment was: long ago, so that nobody takes that for the end of a rollout that has just begun."""

# Nobody's, so that the service need not wait until nobody can be holding it.
_LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"namespace": SERVICE_NAMESPACE, "name": "experiment-operator-webhook"},
}


class StackError(Exception):
    """What somebody who runs `demo` or `dev` has to be told."""


@dataclass(frozen=True, slots=True)
class Stack:
    """`api_url` is where the service answers; its log is `service_log`. At `testkube_url` is the simulation."""

    cluster: LocalCluster
    api_url: str
    service_log: Path
    testkube_url: str


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Run everything, with CRDs, phase templates and Agent; it ends with the context, and nothing of it is kept.

    Raises LocalClusterError, also inside of the context, when the service or the simulation of Testkube ends.
    """
    print("Starting etcd, kube-apiserver, kube-controller-manager and Temporal ...")
    async with AsyncExitStack() as ends:
        cluster = await ends.enter_async_context(LocalCluster.start())
        await cluster.install(Path(crds.__path__[0]))
        print("Starting a simulation of Testkube, which makes up how the agent does ...")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_install_prerequisites(cluster))
            testkube, testkube_url = await on_free_ports(1, lambda ports: _start_testkube(ends, cluster, *ports))
        print("Starting the service: watcher, worker and api in one process ...")
        service, api_url = await on_free_ports(2, lambda ports: _start_service(ends, cluster, testkube_url, *ports))
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = [tasks.create_task(_until_it_ends(process)) for process in (service, testkube)]
                yield Stack(cluster, api_url, service.log, testkube_url)
                for task in watching:
                    task.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None


async def _install_prerequisites(cluster: LocalCluster) -> None:
    """Install what there is before the first Experiment. The Agent says where it answers, as its runtime would."""
    for namespace in (TESTKUBE_NAMESPACE, NAMESPACE, SERVICE_NAMESPACE):
        await cluster.kubectl("create", "namespace", namespace)
    await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_LEASE))
    await cluster.kubectl("apply", "-n", TESTKUBE_NAMESPACE, "-f", str(TEMPLATES))
    await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(SAMPLES / "agent.yaml"))
    await cluster.kubectl("create", "deployment", AGENT, "-n", NAMESPACE, f"--image={AGENT_IMAGE}")
    deployment = json.loads(await cluster.kubectl("get", "deployment", AGENT, "-n", NAMESPACE, "-o", "json"))
    rolled_out = status_of(deployment, FINISHED_ROLLOUT, _ROLLED_OUT)
    for kind, status in (("agent", _AGENT_STATUS), ("deployment", {"status": rolled_out})):
        patch = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
        await cluster.kubectl("patch", "-n", NAMESPACE, kind, AGENT, *patch)


async def _start_testkube(ends: AsyncExitStack, cluster: LocalCluster, port: int) -> tuple[Process, str]:
    """Start the simulation, which also stands for what rolls Deployments out."""
    url = f"http://127.0.0.1:{port}"
    own = ("--namespace", TESTKUBE_NAMESPACE, "--port", str(port))
    directory = cluster.kubeconfig.parent
    environ = {**os.environ, **cluster.env(), "TMPDIR": str(directory)}
    command = [sys.executable, "-m", "localcluster.testkube", *own]
    testkube = Process.start(command, directory / "testkube.log", environ=environ)
    ends.push_async_callback(testkube.stop)
    async with httpx.AsyncClient(trust_env=False) as http:
        await testkube.until(lambda: _answers(http, f"{url}/v1/info"))
    return testkube, url


async def _start_service(
    ends: AsyncExitStack, cluster: LocalCluster, testkube_url: str, port: int, webhook_port: int
) -> tuple[Process, str]:
    url = f"http://127.0.0.1:{port}"
    directory = cluster.kubeconfig.parent
    command = [sys.executable, "-m", "experiment_operator", "all"]
    environ = _environment(cluster, port, webhook_port, directory) | {"TESTKUBE_API_URL": testkube_url}
    service = Process.start(command, directory / "service.log", environ=environ)
    ends.push_async_callback(service.stop)
    async with httpx.AsyncClient(trust_env=False) as http:
        await service.until(lambda: _answers(http, f"{url}/readyz"))
    await _register_webhook(cluster, webhook_port)
    return service, url


async def _register_webhook(cluster: LocalCluster, port: int) -> None:
    """Register it by URL, not by Service as elsewhere: the API server shares a machine with it, and no cluster."""
    for file in WEBHOOK.glob("*.yaml"):
        configuration = yaml.safe_load(file.read_text(encoding="utf-8"))
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"] = {"url": f"https://{WEBHOOK_HOST}:{port}/validate"}
        await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(configuration))


def _environment(cluster: LocalCluster, port: int, webhook_port: int, directory: Path) -> dict[str, str]:
    # What leads to another Temporal (address, namespace, TLS, a profile in a file) is not meant for this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    own = {
        "API_AUTH": "none",
        "API_HOST": "127.0.0.1",
        "API_PORT": str(port),
        "METRICS_PORT": "0",
        "WEBHOOK": "true",
        "WEBHOOK_HOSTS": WEBHOOK_HOST,
        "WEBHOOK_NAMESPACE": SERVICE_NAMESPACE,
        "WEBHOOK_PORT": str(webhook_port),
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_SEARCH_ATTRIBUTES": "true",
        # The client writes its credentials to temporary files, and all processes are killed in the end.
        "TMPDIR": str(directory),
    }
    return {**inherited, **own, **cluster.env()}


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.TransportError:
        return False


async def _until_it_ends(process: Process) -> None:
    while process.running:  # noqa: ASYNC110 - there is nothing else that tells
        await asyncio.sleep(0.1)
    process.check()
    raise LocalClusterError(f"{process.name} was ended from outside")


def run(work: Coroutine[Any, Any, None]) -> int:
    """Run `work` and return the exit code: 0, 1 after a failure that it prints, or 128 + the signal that ended it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # whoever reads this through a pipe wants to follow
    try:
        return asyncio.run(_run_until_signal(work))
    except (LocalClusterError, StackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


async def _run_until_signal(work: Coroutine[Any, Any, None]) -> int:
    """Cancel `work` at the first signal; any other comes while it cleans up, and must not keep it from that."""
    task = asyncio.create_task(work)
    told: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if not told:
            task.cancel()
        told.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        return 128 + told[0]
    return 0
