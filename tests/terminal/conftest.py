"""The whole service in one process, and commands as people type them.

The API server of these tests has no nodes, so that its service proxy leads nowhere: a stand-in does what it does, which
is to pass a request on without its Authorization header.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import aiohttp
import httpx
import pytest
import yaml
from aiohttp import web

from experiment_operator.cli import main
from kube.client import KubeClient
from localcluster import LocalCluster
from localcluster.testkube.cluster import ClusterTestkube
from support.clusters import SAMPLES, install_testkube
from support.polling import until
from support.processes import COMMAND, Answer, ServiceProcess
from support.scripted_api import EvaluationsApi, evaluations_api

_PROXY = "/api/v1/namespaces/testbench/services/api:80/proxy"


@pytest.fixture(scope="session")
async def namespace(cluster: LocalCluster) -> str:
    """With an Agent; Testkube's own has the phase templates."""
    name = "sample-agents"
    await install_testkube(cluster)
    await cluster.kubectl("create", "namespace", name)
    await cluster.kubectl("apply", "-n", name, "-f", str(SAMPLES / "agent.yaml"))
    return name


@pytest.fixture(scope="session")
async def testkube(kube: KubeClient, namespace: str) -> AsyncIterator[ClusterTestkube]:  # noqa: ARG001
    """A simulated one, which needs Testkube's namespace and is quicker than any real one."""
    async with ClusterTestkube(kube, pace=0.05) as simulation:
        yield simulation


@pytest.fixture(scope="session")
async def server(
    cluster: LocalCluster, testkube: ClusterTestkube, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """URL of the api of a service that runs; it asks Kubernetes who may do what."""
    log = tmp_path_factory.mktemp("terminal") / "service.log"
    own = {"TEMPORAL_CONFIG_FILE": os.devnull, "TESTKUBE_API_URL": testkube.url}
    process = await ServiceProcess.start("all", log, {**cluster.env(), **own})
    url = f"http://127.0.0.1:{(await process.event('api listens'))['port']}"
    async with httpx.AsyncClient(trust_env=False) as http:
        await until(lambda: http.get(f"{url}/readyz"), lambda answer: answer.is_success)
    yield url
    await process.kill()


@pytest.fixture(scope="session")
async def token(cluster: LocalCluster, namespace: str) -> str:
    """Of somebody who may do everything to the Experiments of the namespace."""
    await cluster.kubectl("create", "serviceaccount", "-n", namespace, "ann")
    allow = ("--verb=*", "--resource=experiments.testbench.agentic-layer.ai")
    await cluster.kubectl("create", "role", "-n", namespace, "ann", *allow)
    binding = ("--role=ann", f"--serviceaccount={namespace}:ann")
    await cluster.kubectl("create", "rolebinding", "-n", namespace, "ann", *binding)
    return (await cluster.kubectl("create", "token", "-n", namespace, "ann")).strip()


@pytest.fixture(scope="session")
async def proxy(server: str) -> AsyncIterator[str]:
    """URL of what passes for an API server; whoever comes with a token may use its service proxy."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name not in {"Host", "Authorization"}}
        url = f"{server}{request.path_qs.removeprefix(_PROXY)}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, url, headers=headers, data=await request.read()) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    app = web.Application()
    app.router.add_route("*", _PROXY + "/{path:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def kubeconfig_with(tmp_path: Path, namespace: str) -> Callable[..., Path]:
    """`kubeconfig_with(url, token)`: a person's, whose current namespace is the test's."""
    return lambda url, token: _kubeconfig(tmp_path, namespace, url, token)


def _kubeconfig(directory: Path, namespace: str, url: str = "http://127.0.0.1:1", token: str | None = None) -> Path:
    path = directory / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "users": [{"name": "ann", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "ann", "namespace": namespace}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def environ(kubeconfig_with: Callable[..., Path], server: str, token: str) -> dict[str, str]:
    """That of a person who has said where the api is."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EXPERIMENT_OPERATOR_")}
    kubeconfig = kubeconfig_with("http://127.0.0.1:1", token)
    return {**inherited, "KUBECONFIG": str(kubeconfig), "EXPERIMENT_OPERATOR_SERVER": server, "TZ": "UTC"}


@pytest.fixture
def type_(environ: dict[str, str]) -> Callable[..., Awaitable[Answer]]:
    """`await type_("why", "weather")` in that environment, with changes to it as keywords."""
    return _typed_in(environ)


@pytest.fixture
async def scripted() -> AsyncIterator[EvaluationsApi]:
    """An api whose executions go as the test says."""
    async with evaluations_api() as api:
        yield api


@pytest.fixture
def environ_at(scripted: EvaluationsApi, tmp_path: Path) -> dict[str, str]:
    """That of a person whose api is the scripted one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EXPERIMENT_OPERATOR_")}
    own = {"EXPERIMENT_OPERATOR_SERVER": scripted.url, "KUBECONFIG": str(_kubeconfig(tmp_path, "team")), "TZ": "UTC"}
    return {**inherited, **own}


@pytest.fixture
def start_at(environ_at: dict[str, str]) -> Callable[..., Awaitable[Answer]]:
    """`await start_at("run", "weather")`: as `type_at`, in a process of its own, which takes half a second."""
    return _typed_in(environ_at)


@pytest.fixture
def type_at(environ_at: dict[str, str]) -> Callable[..., Awaitable[Answer]]:
    """`await type_at("run", "weather")`: at the scripted api, without a cluster, and in this process."""

    async def run(*arguments: str, **more: str | None) -> Answer:
        environ = {name: value for name, value in {**environ_at, **more}.items() if value is not None}
        return await asyncio.to_thread(_typed_here, environ, arguments)

    return run


def _typed_here(environ: dict[str, str], arguments: Sequence[str]) -> Answer:
    code, out, err = 0, io.StringIO(), io.StringIO()
    with mock.patch.dict(os.environ, environ, clear=True), mock.patch.object(sys, "argv", ["experiment-operator"]):
        time.tzset()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = main(list(arguments))
            except SystemExit as end:  # of argparse, which uses numbers
                code = int(end.code or 0)
    time.tzset()
    return Answer(code, out.getvalue(), err.getvalue())


def _typed_in(environ: dict[str, str]) -> Callable[..., Awaitable[Answer]]:
    async def run(*arguments: str, stdin: str = "", **more: str | None) -> Answer:
        done = await asyncio.to_thread(
            subprocess.run,
            [*COMMAND, *arguments],
            env={name: value for name, value in {**environ, **more}.items() if value is not None},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
async def weather(cluster: LocalCluster, namespace: str, server: str) -> str:  # noqa: ARG001
    """The name of an Experiment that has become Ready, and whose TestTrigger was deleted and made again."""
    name = "weather"
    await cluster.kubectl("apply", "-n", namespace, "-f", str(SAMPLES / "experiment-scenarios.yaml"))
    await cluster.kubectl("wait", "-n", namespace, f"exp/{name}", "--for=condition=Ready", "--timeout=30s")
    return name
