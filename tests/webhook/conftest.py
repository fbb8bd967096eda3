"""The shipped webhook configuration on a real API server, which asks the real application over TLS, in this process.

Only `clientConfig` is changed: there are no pods here, so the API server is told a URL instead of a Service. It counts
for all Experiments of the cluster, which nobody shares therefore.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import yaml
from starlette.types import ASGIApp

from api.http.server import serving
from experiments.options import Options
from experiments.resources import AGENT, EXPERIMENT
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object, ObjectRef
from localcluster import LocalCluster
from localcluster.certificates import Authority
from localcluster.tools import tool
from support.background import running
from support.clusters import DEPLOY, SAMPLES, all_caches, install_testkube
from support.polling import PATIENCE, until
from support.webhook import Said, Webhook
from support.world import World
from webhook.app import create_webhook_app

_CONFIGURATION = DEPLOY / "webhook" / "validating-webhook-configuration.yaml"


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture(scope="session")
def new_caches(kube: KubeClient) -> Callable[[], Caches]:
    """Caches that nobody fills yet."""
    return lambda: all_caches(kube)


@pytest.fixture(scope="session")
async def old_caches(kube: KubeClient) -> Caches:
    """Filled once, and deaf from then on."""
    filled = all_caches(kube)
    async with running(filled.run()):
        await filled.wait_synced()
    return filled


@pytest.fixture(scope="session")
def app(caches: Caches, kube: KubeClient) -> ASGIApp:
    return create_webhook_app(caches, kube, Options(), neighbour_check="refuse")


@pytest.fixture(scope="session")
async def webhook(
    app: ASGIApp, kubectl: Callable[..., Awaitable[Said]], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Webhook]:
    """Registered, and asked by the API server from now on."""
    authority, pair = Authority(), tmp_path_factory.mktemp("webhook") / "tls.pem"
    pair.write_bytes(authority.serving().pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    served = Webhook(app)
    async with serving(served, "127.0.0.1", 0, context) as port:
        configuration = yaml.safe_load(_CONFIGURATION.read_text())
        url, bundle = f"https://127.0.0.1:{port}/validate", base64.b64encode(authority.certificate).decode()
        for each in configuration["webhooks"]:
            each["clientConfig"] = {"url": url, "caBundle": bundle}
        await kubectl("apply", "-f", "-", stdin=json.dumps(configuration))
        async with asyncio.timeout(PATIENCE):  # the API server hears of its own configurations with some delay
            while not served.calls:
                await kubectl("create", "--dry-run=server", "-f", str(SAMPLES / "experiment-scenarios.yaml"))
        yield served


@pytest.fixture(scope="session")
def kubectl(cluster: LocalCluster) -> Callable[..., Awaitable[Said]]:
    """`await kubectl("apply", "-f", "-", stdin=…)` never raises, and has the warnings that `cluster.kubectl` hides."""

    async def run(*arguments: str, stdin: str = "") -> Said:
        process = await asyncio.create_subprocess_exec(
            tool("kubectl"),
            *arguments,
            env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin.encode())
        return Said(process.returncode or 0, out.decode(), err.decode())

    return run


@pytest.fixture
def apply(kubectl: Callable[..., Awaitable[Said]], webhook: Webhook) -> Callable[..., Awaitable[Said]]:
    """`await apply(experiment, "--server-side")` while the webhook is registered."""
    assert webhook

    async def run(obj: Object, *flags: str) -> Said:
        return await kubectl("apply", *flags, "-f", "-", stdin=json.dumps(obj))

    return run


@pytest.fixture
def heard(caches: Caches) -> Callable[[ObjectRef], Awaitable[Object]]:
    """`await heard(ref)`: the object, once the webhook's caches have it."""

    async def wait(ref: ObjectRef) -> Object:
        return await until(lambda: caches.get(ref)) or {}

    return wait


@pytest.fixture
async def sound(world: World, heard: Callable[..., Awaitable[Object]]) -> Callable[..., Object]:
    """`sound(schedule={…})`: the Experiment `demo`, with which nothing is wrong but for that. Its agent is ready."""
    await world.agent(url="http://weather.example:8000/.well-known/agent-card.json")
    agent = ObjectRef(AGENT, world.namespace, "weather")
    await until(lambda: heard(agent), lambda known: known.get("status", {}).get("url"))
    metric = {"metricName": "recall", "threshold": 0.5}
    scenarios = [{"name": "rain", "steps": [{"input": "Rain?", "metrics": [metric]}]}]

    def make(**spec: Any) -> Object:
        fine = {"scenarios": scenarios, "llmAsAJudgeModel": "gpt-4o", "trigger": None}
        return world.experiment(**{**fine, **spec})

    return make


@pytest.fixture(scope="session")
def question() -> Callable[..., Object]:
    """`question(obj, old, operation="UPDATE")`: the AdmissionReview that the API server would send."""

    def make(obj: Object | None, old: Object | None = None, **request: Any) -> Object:
        group, _, version = EXPERIMENT.api_version.partition("/")
        asked = {
            "uid": "a1b2",
            "kind": {"group": group, "version": version, "kind": EXPERIMENT.kind},
            "operation": "UPDATE" if old else "CREATE",
            "object": obj,
            "oldObject": old,
            **request,
        }
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}

    return make


@pytest.fixture(scope="session")
def ask(app: ASGIApp) -> Callable[..., Awaitable[httpx.Response]]:
    """`await ask(review)`, or bytes: what the application answers when it is asked directly."""

    async def post(body: Object | bytes, app: ASGIApp = app) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
            return await client.post("/validate", content=content)

    return post
