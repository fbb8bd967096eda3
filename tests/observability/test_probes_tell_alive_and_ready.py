"""Alive while the event loop comes round, ready while what the process needs is there; both say what is wrong."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from telemetry.health import Pulse
from telemetry.listener import listening


def _get(port: int, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


async def test_ready_once_every_role_has_its_caches_and_temporal_answers(service):
    assert await service.answers("/readyz", 200) == "ok\n"
    assert await service.answers("/healthz", 200) == "ok\n"
    for source in ("watcher", "worker", "api", "temporal"):
        assert await service.value("experiment_operator_ready", source=source) == 1


async def test_alive_and_not_ready_without_temporal_and_the_api_server(start, cluster, tmp_path):
    nowhere = tmp_path / "kubeconfig"
    server = next(line for line in cluster.kubeconfig.read_text().splitlines() if "server:" in line)
    nowhere.write_text(cluster.kubeconfig.read_text().replace(server, "    server: https://127.0.0.1:1"))
    watcher = await start("watcher", KUBECONFIG=str(nowhere), TEMPORAL_ADDRESS="127.0.0.1:1")
    await watcher.listens()
    await watcher.says("Temporal cannot be reached")
    await watcher.says("watch failed")
    missing = await watcher.answers("/readyz", 503)
    while "Cannot connect" not in missing or "temporal: Failed" not in missing:  # the loop tells once a second
        missing = await watcher.answers("/readyz", 503)
    assert "watcher: list experiments: Cannot connect to host 127.0.0.1:1" in missing
    assert await watcher.answers("/healthz", 200) == "ok\n"
    assert await watcher.value("experiment_operator_ready", source="temporal") == 0


async def test_not_ready_where_temporal_lacks_the_namespace(start):
    watcher = await start("watcher", TEMPORAL_NAMESPACE="nowhere")
    await watcher.listens()
    await watcher.says("watcher is ready")
    await watcher.says("Temporal cannot be reached")
    missing = await watcher.answers("/readyz", 503)
    while "watcher" in missing or "not answered yet" in missing:
        missing = await watcher.answers("/readyz", 503)
    assert missing == "temporal: Namespace nowhere is not found.\n"


def test_a_loop_that_hangs_is_noticed_while_it_hangs_and_forgiven_afterwards():
    pulse, held, ended = Pulse(wedged_seconds=0.5), threading.Event(), threading.Event()

    async def work() -> None:
        beating = asyncio.create_task(pulse.run())
        await asyncio.sleep(0)
        held.wait()  # what nobody should do on an event loop
        await asyncio.to_thread(ended.wait)
        beating.cancel()

    loop = threading.Thread(target=lambda: asyncio.run(work()))
    with listening("127.0.0.1", 0, pulse, lambda: b"") as port, capture_logs() as said:
        loop.start()
        while _get(port, "/healthz")[0] == 200:
            time.sleep(0.01)
        assert _get(port, "/healthz") == (503, "the event loop hangs\n")
        assert "experiment_operator_event_loop_lag_seconds" in _get(port, "/metrics")[1]
        [complaint] = said
        assert complaint["event"] == "the event loop hangs"
        assert "held.wait()  # what nobody should do" in complaint["at"]
        held.set()
        while _get(port, "/healthz")[0] == 503:
            time.sleep(0.01)
        ended.set()
        loop.join()


async def test_a_taken_port_is_one_clear_sentence(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        watcher = await start("watcher", METRICS_PORT=str(port))
        assert await watcher.process.wait() == 1
    assert watcher.log == (
        f"experiment-operator watcher: cannot listen on 127.0.0.1, port {port}, for /metrics: Address already in use; "
        "choose another --metrics-port (METRICS_PORT), or 0 for any free one\n"
    )


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics2"])
async def test_the_port_for_metrics_serves_nothing_else(service, path):
    assert (await service.http.get(path)).status_code == 404
