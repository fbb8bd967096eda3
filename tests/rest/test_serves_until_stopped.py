"""The api as a process runs it: it listens at once, becomes ready, and ends when it is told to."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from api.config import ApiConfig
from api.main import run_api
from support.polling import until


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


async def test_listens_becomes_ready_and_ends(kube, temporal, port):
    serving = asyncio.create_task(run_api(kube, temporal, ApiConfig(port=port, auth="none")))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

        async def answers(path, status):
            try:
                return (await http.get(path)).status_code == status
            except httpx.ConnectError:
                return False

        await until(lambda: answers("/healthz", 200))
        await until(lambda: answers("/readyz", 200))
        assert "items" in (await http.get("/api/v1/experiments")).json()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(serving, 10)
        with pytest.raises(httpx.TransportError):
            await http.get("/healthz")


async def test_a_taken_port_is_an_error_and_not_the_end_of_the_process(kube, temporal):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await run_api(kube, temporal, ApiConfig(port=taken.getsockname()[1]))
