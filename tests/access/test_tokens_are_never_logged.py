"""Whatever happens and however much is logged, no token is among it; and that nobody is asked for one is said aloud."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager

import httpx
import pytest

from support.polling import until

# The command, with a defect in the middle of a request.
_BROKEN = """
import sys
from api.auth.dependencies import Caller
from experiment_operator.cli import main

async def broken(caller, namespaces):
    raise AssertionError("the defect")

Caller.listable = broken
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def broken_api(cluster, tmp_path, port):
    """`async with broken_api("--flag") as (api, log)`: a process of its own that answers on `port`."""

    @asynccontextmanager
    async def run(*flags):
        log = tmp_path / "log"
        command = (sys.executable, "-c", _BROKEN, "api", f"--api-port={port}", "--metrics-port=0", *flags)
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **cluster.env()}, stdout=file, stderr=file
            )
        # uvicorn closes a connection after a defect, at a moment of its own.
        once = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=once, trust_env=False) as http:

            async def ready():
                assert process.returncode is None, log.read_text()
                try:
                    return (await http.get("/readyz")).is_success
                except httpx.ConnectError:
                    return False

            try:
                await until(ready)
                yield http, log
            finally:
                process.terminate()
                await process.wait()

    return run


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_not_even_with_a_defect(broken_api, people, log_format):
    await people.add("reader", ("*", "get list"))
    token, unknown = people.tokens["reader"], "not-a-token-of-anybody"
    async with broken_api("--log-level=debug", f"--log-format={log_format}") as (api, log):
        for name in ("Authorization", "X-Experiment-Operator-Authorization"):
            for path, value, status in [
                ("/api/v1/namespaces/default/experiments/nothing", token, 404),
                ("/api/v1/experiments", token, 500),
                ("/api/v1/namespaces/default/experiments/it's", token, 422),
                ("/api/v1/experiments", unknown, 401),
            ]:
                answer = await api.get(path, headers={name: f"Bearer {value}"})
                assert answer.status_code == status, answer.text
    said = log.read_text()
    assert "the defect" in said
    assert "Traceback" in said
    for part in (token[:30], token[-30:], unknown):
        assert part not in said


async def test_that_nobody_is_asked_is_said_aloud(broken_api):
    async with broken_api("--api-auth=none", "--log-level=warning", "--log-format=json") as (_, log):
        assert "everybody who reaches it may do everything" in log.read_text()
