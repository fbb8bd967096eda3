"""What `demo` and `dev` run on this machine: a local cluster, the service and a simulation of Testkube as processes.

No agent runs: there are an Agent and a Deployment of that name, whose image the simulated scores follow from.

The service is the command `all`, started as anybody would start it. It inherits the environment, so that settings like
LOG_LEVEL reach it. When one of the two processes ends by itself, the stack fails with the last lines of its log.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml

import crds
from experiment_operator.resources import SAMPLES, TEMPLATES, WEBHOOK
from localcluster import LocalCluster, LocalClusterError
from localcluster.processes import Process, answers, on_free_ports
from localcluster.rollouts import FINISHED_ROLLOUT, status_of

NAMESPACE = "sample-agents"
TESTKUBE_NAMESPACE = "testkube"
SERVICE_NAMESPACE = "experiment-operator"
_HOST = "127.0.0.1"
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


class StackError(LocalClusterError):
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
    url = f"http://{_HOST}:{port}"
    command = ("localcluster.testkube", "--namespace", TESTKUBE_NAMESPACE, "--port", str(port))
    log, environ = cluster.kubeconfig.with_name("testkube.log"), {**os.environ, **cluster.env()}
    return await _start(ends, command, log, environ, f"{url}/v1/info"), url


async def _start_service(
    ends: AsyncExitStack, cluster: LocalCluster, testkube_url: str, port: int, webhook_port: int
) -> tuple[Process, str]:
    url = f"http://{_HOST}:{port}"
    environ = _environment(cluster, port, webhook_port) | {"TESTKUBE_API_URL": testkube_url}
    log = cluster.kubeconfig.with_name("service.log")
    service = await _start(ends, ("experiment_operator", "all"), log, environ, f"{url}/readyz")
    await _register_webhook(cluster, webhook_port)
    return service, url


async def _start(
    ends: AsyncExitStack, command: Sequence[str], log: Path, environ: Mapping[str, str], url: str
) -> Process:
    """Start a module of Python, and return once `url` answers."""
    # Clients write their credentials to temporary files, and all processes are killed in the end.
    environ = {**environ, "TMPDIR": str(log.parent)}
    process = Process.start([sys.executable, "-m", *command], log, environ=environ)
    ends.push_async_callback(process.stop)
    async with httpx.AsyncClient(trust_env=False) as http:
        await process.until(lambda: answers(http, url))
    return process


async def _register_webhook(cluster: LocalCluster, port: int) -> None:
    """Register it by URL, not by Service as elsewhere: the API server shares a machine with it, and no cluster."""
    for file in WEBHOOK.glob("*.yaml"):
        configuration = yaml.safe_load(file.read_text(encoding="utf-8"))
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"] = {"url": f"https://{_HOST}:{port}/validate"}
        await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(configuration))


def _environment(cluster: LocalCluster, port: int, webhook_port: int) -> dict[str, str]:
    # What leads to another Temporal (address, namespace, TLS, a profile in a file) is not meant for this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    own = {
        "API_AUTH": "none",
        "API_HOST": _HOST,
        "API_PORT": str(port),
        "METRICS_PORT": "0",
        "WEBHOOK": "true",
        "WEBHOOK_HOSTS": _HOST,
        "WEBHOOK_NAMESPACE": SERVICE_NAMESPACE,
        "WEBHOOK_PORT": str(webhook_port),
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_SEARCH_ATTRIBUTES": "true",
    }
    return {**inherited, **own, **cluster.env()}


async def _until_it_ends(process: Process) -> None:
    while process.running:  # noqa: ASYNC110 - there is nothing else that tells
        await asyncio.sleep(0.1)
    process.check()
    raise LocalClusterError(f"{process.name} was ended from outside")
