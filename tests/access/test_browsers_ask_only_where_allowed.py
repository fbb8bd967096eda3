"""CORS: no page may call the api from a browser, unless its origin is configured."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from api.config import ApiConfig
from api.main import run_api
from support.polling import until

_PAGE = "https://dashboard.example"
_PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
def browser(kube, temporal, secret, port):
    """`async with browser(origins) as page`: requests as they come from a page of `_PAGE`."""

    @asynccontextmanager
    async def open_page(origins):
        config = ApiConfig(port=port, cors_origins=origins, tls_dir=secret.directory)
        serving = asyncio.create_task(run_api(kube, temporal, config))
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{port}", headers={"Origin": _PAGE}, verify=secret.trust, trust_env=False
        ) as http:

            async def listens():
                with suppress(httpx.ConnectError):
                    return (await http.get("/healthz")).is_success

            await until(listens)
            yield http
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    return open_page


async def test_by_default_no_page_may_read_an_answer(browser):
    async with browser(()) as page:
        answers = [await page.get("/healthz"), await page.options("/api/v1/experiments", headers=_PREFLIGHT)]
    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)


async def test_a_configured_page_may_and_no_other(browser):
    async with browser((_PAGE, "https://second.example")) as page:
        asked = await page.options("/api/v1/experiments", headers=_PREFLIGHT)
        assert asked.status_code == 200
        assert asked.headers["Access-Control-Allow-Origin"] == _PAGE
        assert "authorization" in asked.headers["Access-Control-Allow-Headers"]
        refused = await page.get("/api/v1/experiments")
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == _PAGE
        other = await page.get("/healthz", headers={"Origin": "https://third.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
