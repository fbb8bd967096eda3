"""A stand-in for Testkube with a client, and a real Testkube's answers: {request, status, headers, json | text}."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.testkube import TestkubeStandIn
from testkube.client import TestkubeClient

_RECORDINGS = Path(__file__).parent / "recordings"


@pytest.fixture
async def testkube() -> AsyncIterator[TestkubeStandIn]:
    async with TestkubeStandIn() as running:
        yield running


@pytest.fixture
async def client(testkube: TestkubeStandIn) -> AsyncIterator[TestkubeClient]:
    async with TestkubeClient(testkube.url) as connected:
        yield connected


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], Any]:
    """`recorded("info")`"""
    return lambda name: json.loads((_RECORDINGS / f"{name}.json").read_text())


@pytest.fixture
def replay(recorded: Callable[[str], Any]) -> Any:
    """`async with replay("info") as (client, requests)`: answers with these recordings, whatever it is asked."""

    @asynccontextmanager
    async def serve(*names: str) -> AsyncIterator[tuple[TestkubeClient, list[web.Request]]]:
        answers, requests = [recorded(name) for name in names], []

        async def answer(request: web.Request) -> web.Response:
            requests.append(request)
            told = answers.pop(0)
            headers = {key: value for key, value in told["headers"].items() if key == "Content-Type"}
            body = json.dumps(told["json"]) if "json" in told else told["text"]
            return web.Response(status=told["status"], body=body.encode(), headers=headers)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with TestkubeClient(site.name) as connected:
                yield connected, requests
        finally:
            await runner.cleanup()

    return serve
