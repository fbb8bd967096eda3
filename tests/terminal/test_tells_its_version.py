"""The version can be asked for, and is told to the API server and to Testkube with each call, with who asks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import version

import pytest
from aiohttp import web

NAME = f"experiment-operator/{version('experiment-operator')}"


async def test_the_command_tells_its_version(type_):
    answer = await type_("--version")
    assert (answer.code, answer.out) == (0, f"experiment-operator {version('experiment-operator')}\n")


@pytest.fixture
async def listener():
    """A server that knows nothing, its URL, and the User-Agents that have asked it, without a repetition."""
    agents, first = [], asyncio.Event()

    async def note(request):
        agents.append(request.headers["User-Agent"])
        first.set()
        return web.json_response({"kind": "Status", "code": 404, "message": "nothing here"}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", agents, first
    await runner.cleanup()


@pytest.mark.parametrize("role", ["watcher", "api", "all"])
async def test_a_process_says_its_role(environ, listener, kubeconfig_with, cluster, role):
    """But for the worker's, which calls nobody before there is work."""
    url, agents, first = listener
    own = {"KUBECONFIG": str(kubeconfig_with(url, "token")), "METRICS_PORT": "0", "API_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "experiment_operator", role),
        env={**environ, **cluster.env(), **own},
        stderr=subprocess.DEVNULL,
    )
    await first.wait()
    process.terminate()
    await process.wait()
    assert set(agents) == {f"{NAME} ({role})"}


@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        (["doctor", "--role=worker"], "doctor"),
        (["history", "weather"], "history"),
        (["why", "weather"], "why"),
        (["executions", "weather"], "executions"),
        (["scores", "weather"], "scores"),
        (["migrate-from-go-operator", "--dry-run"], "migrate-from-go-operator"),
    ],
)
async def test_a_command_says_which_it_is(type_, listener, kubeconfig_with, arguments, role):
    url, agents, _ = listener
    own = {"KUBECONFIG": str(kubeconfig_with(url, "token")), "EXPERIMENT_OPERATOR_SERVER": None}
    assert (await type_(*arguments, **own)).code == 1
    assert set(agents) == {f"{NAME} ({role})"}
