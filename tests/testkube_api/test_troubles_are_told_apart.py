"""Whatever is between this service and Testkube, the client says what is wrong, soon, and as one of its own errors."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import web

from testkube.client import TestkubeClient
from testkube.errors import Refused, Unavailable


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("away", "Server disconnected"),
        ("html", "the answer is no JSON: b'<!doctype html>"),
        (502, "database is away"),
        (429, "database is away"),
    ],
)
async def test_an_answer_of_no_testkube_is_unavailable(testkube, client, trouble, words):
    testkube.trouble = trouble
    for call in (client.info(), client.executions("weather"), client.abort_all("weather")):
        with pytest.raises(Unavailable, match=words) as raised:
            await call
        assert raised.value.transient


async def test_an_address_where_nobody_listens_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    async with TestkubeClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unavailable, match=f"GET http://127.0.0.1:{port}/v1/info: "):
            await client.info()


async def test_a_server_that_keeps_silent(testkube, monkeypatch):
    monkeypatch.setattr("testkube.client._CALL_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    testkube.trouble = "slow"
    async with TestkubeClient(testkube.url) as client:
        with pytest.raises(Unavailable, match="no answer in time"):
            await client.info()


async def test_a_refusal_is_final(testkube, client):
    testkube.trouble = 403
    with pytest.raises(Refused, match="failed to do it") as raised:
        await client.abort_all("weather")
    assert not raised.value.transient


@pytest.mark.parametrize("answer", [[], {"results": [{"name": "without id"}]}, {"results": 3}, {}])
async def test_json_of_something_else_is_unavailable(testkube, client, monkeypatch, answer):
    monkeypatch.setattr("localcluster.testkube.api._in_list", lambda _: answer)
    monkeypatch.setattr("localcluster.testkube.api._totals", lambda _: 0)
    testkube.add("weather")
    with pytest.raises(Unavailable, match="the answer is no list of executions"):
        await client.executions("weather")


@pytest.mark.parametrize("answer", [{}, {"version": ""}])
async def test_information_about_something_else(client, monkeypatch, answer):
    monkeypatch.setattr("localcluster.testkube.api._json", lambda _: web.json_response(answer))
    with pytest.raises(Unavailable, match="the answer is not Testkube's"):
        await client.info()
