"""A release host on this machine, which can fail in the ways that real ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from support.release_host import ReleaseHost


@pytest.fixture
async def host() -> AsyncIterator[ReleaseHost]:
    served = ReleaseHost()
    app = web.Application()
    app.router.add_get("/{path:.*}", served.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield served
    await runner.cleanup()
