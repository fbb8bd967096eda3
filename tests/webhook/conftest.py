"""The shipped webhook configuration on a real API server, which asks the real application over TLS, in this process.

Only `clientConfig` is changed: there are no pods here, so the API server is told a URL instead of a Service. Test files
cannot import from here, so what they need hangs on `Webhook` and `Said`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client

from api.http.server import serving
from experiments.options import Options
from experiments.resources import AGENT, EXPERIMENT
from experiments.snapshot import name_sources, sources
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object, ObjectRef
from localcluster import LocalCluster
from localcluster.certificates import Authority
from localcluster.tools import tool
from webhook.app import create_webhook_app

_ROOT = Path(__file__).parents[2]
_CONFIGURATION = _ROOT / "deploy" / "webhook" / "validating-webhook-configuration.yaml"
_SAMPLE = _ROOT / "deploy" / "samples" / "experiment-scenarios.yaml"
_AWAY = PlainTextResponse("away", 503)


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A cluster of its own: a webhook configuration holds for the Experiments of all tests."""
    async with LocalCluster.start() as running:
        await running.install(_ROOT / "crds")
        await running.kubectl("create", "namespace", "testkube")
        await running.kubectl("apply", "-n", "testkube", "-f", str(_ROOT / "deploy" / "testkube"))
        yield running


@pytest.fixture(scope="session")
async def kube(cluster: LocalCluster) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
async def temporal(cluster: LocalCluster) -> Client:
    """For `world`; nothing here runs workflows."""
    return await Client.connect(cluster.temporal_address)


@pytest.fixture(scope="session")
def new_caches(kube: KubeClient) -> Callable[[], Caches]:
    """Caches that cover what the webhook reads, and that nobody fills yet."""
    return lambda: Caches(kube, [*sources(Options()), *name_sources(Options())])


@pytest.fixture(scope="session")
async def caches(new_caches: Callable[[], Caches], running: Any) -> AsyncIterator[Caches]:
    filled = new_caches()
    async with running(filled.run()):
        await filled.wait_synced()
        yield filled


@pytest.fixture(scope="session")
async def old_caches(new_caches: Callable[[], Caches], running: Any) -> Caches:
    """Filled once, and deaf from then on."""
    filled = new_caches()
    async with running(filled.run()):
        await filled.wait_synced()
    return filled


class Webhook:
    """What the API server asks. `calls` counts how often."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.calls = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        await self.app(scope, receive, send)

    @contextmanager
    def answered_by(self, app: ASGIApp) -> Iterator[None]:
        usual, self.app = self.app, app
        try:
            yield
        finally:
            self.app = usual

    @contextmanager
    def away(self) -> Iterator[None]:
        with self.answered_by(_AWAY):
            yield


@pytest.fixture(scope="session")
def app(caches: Caches, kube: KubeClient) -> ASGIApp:
    return create_webhook_app(caches, kube, Options(), agent_check="refuse")


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
        async with asyncio.timeout(60):  # the API server hears of its own configurations with some delay
            while not served.calls:
                await kubectl("create", "--dry-run=server", "-f", str(_SAMPLE))
        yield served


@dataclass(frozen=True)
class Said:
    """How kubectl ended, and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def warnings(self) -> list[str]:
        return [line.removeprefix("Warning: ") for line in self.err.splitlines() if line.startswith("Warning: ")]

    @property
    def refusal(self) -> str:
        """Without the warnings; empty where it has passed."""
        return "\n".join(line for line in self.err.splitlines() if not line.startswith("Warning: "))


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
def heard(caches: Caches, world: Any) -> Callable[[ObjectRef], Awaitable[Object]]:
    """`await heard(ref)`: the object, once the webhook's caches have it."""

    async def wait(ref: ObjectRef) -> Object:
        async def look() -> Object | None:
            return caches.get(ref)

        found: Object = await world.until(look)
        return found

    return wait


@pytest.fixture
async def sound(world: Any, heard: Callable[..., Awaitable[Object]]) -> Callable[..., Object]:
    """`sound(schedule={…})`: the Experiment `demo`, with which nothing is wrong but for that. Its agent is ready."""
    await world.agent(url="http://weather.example:8000/.well-known/agent-card.json")
    agent = ObjectRef(AGENT, world.namespace, "weather")
    await world.until(lambda: heard(agent), lambda known: known.get("status", {}).get("url"))
    metric = {"metricName": "recall", "threshold": 0.5}
    scenarios = [{"name": "rain", "steps": [{"input": "Rain?", "metrics": [metric]}]}]

    def make(**spec: Any) -> Object:
        fine = {"scenarios": scenarios, "llmAsAJudgeModel": "gpt-4o", "trigger": None}
        experiment: Object = world.experiment(**{**fine, **spec})
        return experiment

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
