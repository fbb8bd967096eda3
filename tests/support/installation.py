"""An installation of what `deploy/` builds: applied, and run as it says, without pods."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from kube.objects import Object
from localcluster import LocalCluster
from localcluster.processes import Process, free_port, on_free_ports
from support.clusters import kubeconfig_of

STARTING_SECONDS = 150.0


class Installation:
    """What was built, applied, and run: a process for each Deployment, as that says and as its ServiceAccount.

    There are no pods: what a process would find in one (its namespace, the Service's way to it) it is told.
    """

    def __init__(self, cluster: LocalCluster, objects: list[Object], directory: Path) -> None:
        self._cluster, self._objects, self._directory = cluster, objects, directory
        self._webhook_port = free_port()

    def _of(self, *kinds: str) -> list[Object]:
        return [obj for obj in self._objects if obj["kind"] in kinds]

    async def apply(self) -> None:
        for service in self._of("Service"):
            # So the API server calls the process, and still by the name and for the certificate of the Service.
            service["spec"] |= {"type": "ExternalName", "externalName": "127.0.0.1"}
        for configuration in self._of("ValidatingWebhookConfiguration"):
            for webhook in configuration["webhooks"]:
                webhook["clientConfig"]["service"]["port"] = self._webhook_port
        await self.as_in_git("apply")

    async def as_in_git(self, *command: str) -> None:
        """`as_in_git("diff")`: all of it, as tools have it that apply server-side. Raises KubectlError."""
        await self._do(self._objects, *command, "--server-side", "--force-conflicts", "--field-manager=gitops")

    async def remove(self) -> None:
        await self._do([obj for obj in self._objects if obj["kind"] != "CustomResourceDefinition"], "delete")

    async def run(self, stack: AsyncExitStack) -> None:
        async with asyncio.TaskGroup() as tasks:
            for deployment in self._of("Deployment"):
                tasks.create_task(self._start(stack, deployment))

    async def _start(self, stack: AsyncExitStack, deployment: Object) -> None:
        process = await on_free_ports(2, lambda ports: self._process(deployment, ports))
        stack.push_async_callback(process.stop)

    async def _process(self, deployment: Object, ports: list[int]) -> Process:
        namespace, pod = deployment["metadata"]["namespace"], deployment["spec"]["template"]["spec"]
        (container,), (config,) = pod["containers"], self._of("ConfigMap")
        metrics, api = ports
        told = config["data"] | {each["name"]: each["value"] for each in container["env"]}
        local = dict.fromkeys(("API_HOST", "METRICS_HOST", "WEBHOOK_HOST"), "127.0.0.1")
        local |= {"METRICS_PORT": str(metrics), "API_PORT": str(api), "WEBHOOK_PORT": str(self._webhook_port)}
        own = {"LEASE_NAMESPACE": namespace, "WEBHOOK_NAMESPACE": namespace}
        elsewhere = {**self._cluster.env(), "TEMPORAL_NAMESPACE": "default", "TESTKUBE_API_URL": ""}
        kubeconfig = await kubeconfig_of(self._cluster, pod["serviceAccountName"], self._directory, namespace)
        environ = {**os.environ, **told, **local, **own, **elsewhere, "KUBECONFIG": str(kubeconfig)}
        log = self._directory / f"{deployment['metadata']['name']}.log"
        process = Process.start([sys.executable, "-m", "experiment_operator", *container["args"]], log, environ=environ)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{metrics}", trust_env=False) as http:
            await process.until(lambda: _is_ready(http), STARTING_SECONDS)
        return process

    async def _do(self, objects: list[Object], *command: str) -> None:
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        await self._cluster.kubectl(*command, "-f", "-", stdin=document)


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).is_success
    except httpx.TransportError:
        return False
