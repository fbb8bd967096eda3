"""When the API server does not say who may do what, the answer is 503: neither a refusal nor a defect."""

from __future__ import annotations

import socket

import pytest
import structlog
import yaml

from api.auth.kubernetes import ByKubernetes
from kube.client import KubeClient


@pytest.fixture
async def at(cluster, tmp_path):
    """`await at(port)`: a client of whatever listens on that port of this machine."""
    clients = []

    async def connect(port):
        content = yaml.safe_load(cluster.kubeconfig.read_text())
        content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        copy = tmp_path / "kubeconfig"
        copy.write_text(yaml.safe_dump(content))
        clients.append(await KubeClient.connect(copy))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


async def assert_unavailable(serve, client):
    headers = {"Authorization": "Bearer a-token"}
    async with serve(ByKubernetes(client)) as api:
        answer = await api.get("/api/v1/experiments", headers=headers)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["type"].endswith(":AccessUnknown")
        assert "127.0.0.1" not in answer.text
        assert (await api.get("/healthz", headers=headers)).status_code == 200


async def test_an_api_server_that_is_away(serve, at):
    with structlog.testing.capture_logs() as logs:
        await assert_unavailable(serve, await at(1))
    assert "127.0.0.1:1" in next(line["error"] for line in logs if line["log_level"] == "warning")


async def test_an_api_server_that_hangs_is_not_waited_for_long(serve, at, monkeypatch):
    monkeypatch.setattr("api.auth.kubernetes._REVIEW_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hanging, structlog.testing.capture_logs() as logs:
        await assert_unavailable(serve, await at(hanging.getsockname()[1]))
    assert [line["error"] for line in logs if line["log_level"] == "warning"] == ["nothing within 0.2 s"]


async def test_a_service_that_may_not_ask_says_so_in_its_log(serve, cluster):
    async with await KubeClient.connect(cluster.kubeconfig_for("access-stranger")) as stranger:
        with structlog.testing.capture_logs() as logs:
            await assert_unavailable(serve, stranger)
    assert "cannot create resource" in next(line["error"] for line in logs if line["log_level"] == "warning")


async def test_the_cluster_role_for_it_is_enough(serve, cluster, people):
    await people.add("anybody")
    binding = ("clusterrolebinding", f"{people.home}-reviewer", "--clusterrole=system:auth-delegator")
    await cluster.kubectl("create", *binding, "--user=access-reviewer")
    async with (
        await KubeClient.connect(cluster.kubeconfig_for("access-reviewer")) as reviewer,
        serve(ByKubernetes(reviewer)) as api,
    ):
        assert (await api.get("/api/v1/experiments", headers=people.headers("anybody"))).status_code == 200
