"""`/docs` works in a cluster that reaches nothing: all that the page loads comes from the api itself."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import httpx
import pytest


@pytest.fixture(scope="session")
async def page(api: httpx.AsyncClient) -> httpx.Response:
    return (await api.get("/docs")).raise_for_status()


async def test_all_that_it_loads_is_there(api: httpx.AsyncClient, page: httpx.Response) -> None:
    loaded = {where for where in re.findall(r'(?:src|href)="([^"]*)"', page.text) if not where.startswith("data:")}
    assert len(loaded) == 3
    for where in loaded:
        assert not where.startswith("/"), "the page may be behind a proxy with a prefix"
        assert ":" not in where
        answer = await api.get(urljoin(str(page.url), where))
        kind = {"css": "text/css", "js": "javascript"}[where.rpartition(".")[2]]
        assert answer.status_code == 200
        assert kind in answer.headers["Content-Type"]


async def test_it_shows_the_document_of_this_api(api: httpx.AsyncClient, page: httpx.Response) -> None:
    start = (await api.get("/docs/start.js")).text
    [where] = re.findall(r'url: "([^"]*)"', start)
    assert "openapi" in (await api.get(urljoin(str(page.url), where))).json()
    assert "validatorUrl: null" in start, "the validator is elsewhere, and would be sent the document"


def test_the_browser_is_told_to_load_nothing_else(page: httpx.Response) -> None:
    policy = dict(each.split(" ", 1) for each in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "<script>" not in page.text


async def test_there_is_no_page_that_loads_from_elsewhere(api: httpx.AsyncClient) -> None:
    assert (await api.get("/redoc")).status_code == 404
