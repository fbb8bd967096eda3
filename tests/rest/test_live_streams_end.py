"""A stream ends when its reader may no longer see it, cannot keep up, or the process stops; the others go on."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

import httpx
import pytest

from api import main
from api.auth.kubernetes import User
from api.config import ApiConfig
from api.http import server
from api.http.problems import AccessUnknown, Unauthenticated
from support.polling import until
from support.streams import follow

_ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_USER_TIMEOUT")
_LONG = "This sentence is as long as Kubernetes lets a message be. " * 500


class Rights:
    """What one caller may do, as long as a test says so."""

    def __init__(self, *namespaces):
        self.namespaces = set(namespaces)
        self.known = True
        self.away = False

    async def user(self, token):  # noqa: ARG002
        if self.away:
            raise AccessUnknown("The API server does not answer.")
        if not self.known:
            raise Unauthenticated("This token is not accepted.")
        return User("jane")

    async def may(self, user, verb, namespace):  # noqa: ARG002
        return namespace in self.namespaces


@pytest.fixture
def rights(namespace, monkeypatch):
    """Those of a caller who may see this test's namespace, asked again all the time."""
    monkeypatch.setattr("api.events.endpoints._PERMISSION_SECONDS", 0.05)
    return Rights(namespace)


@pytest.fixture(params=["all", "one"])
def path(request, namespace):
    return "/events" if request.param == "all" else f"/namespaces/{namespace}/experiments/weather/events"


async def test_shows_only_what_the_caller_may_see(listen, caches, temporal, create, change, runs, target, namespace):
    await create("weather")
    async with listen(caches, temporal, Rights(target.namespace)) as api:
        async with follow(api, "/events") as stream:
            await until(lambda: "synced" in stream.names)
            await change("weather", "TemplateMissing")
            runs.plan(target.name)
            await runs.finish(target, "generation 1")
            await until(lambda: "ended" in stream.of(target.namespace, target.name))
            assert {event["data"]["namespace"] for event in stream.events if event["data"]} == {target.namespace}
        assert (await api.get(f"/api/v1/namespaces/{namespace}/experiments/weather/events")).status_code == 403


async def test_a_token_that_is_no_longer_accepted_ends_it(listen, caches, temporal, create, rights, path):
    await create("weather")
    async with listen(caches, temporal, rights) as api, follow(api, path) as stream:
        await until(lambda: "synced" in stream.names)
        rights.known = False
        await until(lambda: stream.ended)
        assert (await api.get(f"/api/v1{path}")).status_code == 401


async def test_a_role_that_was_revoked_ends_the_stream_of_one_experiment(
    listen, caches, temporal, create, rights, namespace
):
    await create("weather")
    path = f"/namespaces/{namespace}/experiments/weather/events"
    async with listen(caches, temporal, rights) as api, follow(api, path) as stream:
        await until(lambda: "synced" in stream.names)
        rights.namespaces.clear()
        await until(lambda: stream.ended)


async def test_a_stream_of_all_begins_anew_with_what_may_be_seen_now(
    listen, caches, temporal, create, rights, namespace
):
    await create("weather")
    async with listen(caches, temporal, rights) as api, follow(api, "/events") as stream:
        await until(lambda: "synced" in stream.names)
        assert stream.of(namespace, "weather") == ["added"]
        rights.namespaces.clear()
        await until(lambda: stream.names.count("synced") >= 2)
        again = len(stream.names) - stream.names[::-1].index("reset") - 1
        assert "added" not in stream.names[again:]


async def test_while_nobody_can_tell_what_was_allowed_goes_on(
    listen, caches, temporal, create, change, rights, namespace, path
):
    await create("weather")
    async with listen(caches, temporal, rights) as api, follow(api, path) as stream:
        await until(lambda: "synced" in stream.names)
        rights.away = True
        for reason in ("TemplateMissing", "GatewayMissing"):
            await asyncio.sleep(0.1)  # longer than permissions are good for
            await change("weather", reason)
        await until(lambda: stream.of(namespace, "weather").count("changed") == 2)


@pytest.fixture
def little_room(monkeypatch):
    """The kernel would take some megabytes for a reader that does not read."""
    listener = server._listener

    def small(host, port):
        made = listener(host, port)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        return made

    monkeypatch.setattr(server, "_listener", small)


async def ask_and_not_read(connection, api, path):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (api.base_url.host, api.base_url.port))
    await loop.sock_sendall(
        connection, f"GET /api/v1{path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n".encode()
    )


async def read_to_the_end(connection):
    received = bytearray()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    with suppress(OSError):  # the kernel may have given it up, too
        while data := await asyncio.get_running_loop().sock_recv(connection, 2**20):
            received += data
    return received


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(("api.events.endpoints._SEND_TIMEOUT", 0.2), id="by the stream"),
        pytest.param(("api.events.buffer._MAX_BYTES", 500_000), id="by the ring"),
        pytest.param(("api.http.server._STALLED_TIMEOUT_MILLISECONDS", 200), id="by the kernel", marks=_ON_LINUX),
    ],
)
async def test_a_slow_reader_is_cut_off_and_the_others_hear_everything(
    listen, caches, temporal, create, change, namespace, monkeypatch, limit
):
    monkeypatch.setattr(*limit)
    await create("weather")
    changes = 50
    async with listen(caches, temporal) as api, follow(api, "/events") as stream:
        await until(lambda: "synced" in stream.names)
        with socket.socket() as slow:
            await ask_and_not_read(slow, api, "/events")
            for number in range(changes):
                await change("weather", "Rejected", f"{number}. {_LONG}")
            await until(lambda: stream.of(namespace, "weather").count("changed") == changes)
            received = await asyncio.wait_for(read_to_the_end(slow), 20)
        assert received.startswith(b"HTTP/1.1 200 OK")
        assert received.count(b"event: changed") < changes


async def test_after_more_runs_than_can_be_told_all_begin_anew(listen, caches, temporal, runs, target, monkeypatch):
    monkeypatch.setattr("api.events.run_poller._MAX_RUNS", 1)
    async with listen(caches, temporal) as api:
        async with follow(api, "/events") as stream:
            await until(lambda: "synced" in stream.names)
            runs.plan(target.name)
            await runs.finish(target, "generation 1")
            await until(lambda: stream.ended)
        async with follow(api, "/events", stream.last_id) as again:
            await until(lambda: again.events)
            assert again.names[0] == "reset"


async def test_streams_end_with_the_process_and_not_later(kube, temporal):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    serving = asyncio.create_task(main.run_api(kube, temporal, ApiConfig(port=port, auth="none")))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as api:

        async def is_ready():
            with suppress(httpx.ConnectError):
                return (await api.get("/readyz")).status_code == 200

        await until(is_ready)
        async with follow(api, "/events") as stream:
            await until(lambda: "synced" in stream.names)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(serving, 10)
            # In good order, not cut off when the time for that was over.
            await until(lambda: stream.ended)
