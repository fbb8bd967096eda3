"""Tokens expire while the service runs; the ones it sends are those that are valid now."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import incluster_config

from kube import credentials
from kube.errors import KubeError

# Of kubernetes-asyncio, from Python 3.12 on.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc:DeprecationWarning")


async def token(configuration: Configuration) -> str:
    """What the next request would send."""
    value: str = (await configuration.auth_settings())["BearerToken"]["value"]
    return value


def kubeconfig(path: Path, user: dict[str, object]) -> Path:
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://cluster.example:6443"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


PLUGIN = """
import json, pathlib, sys
runs = pathlib.Path(sys.argv[1])
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
status = {"token": f"token-{len(runs.read_text())}", "expirationTimestamp": "2020-01-01T00:00:00Z"}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


async def test_a_token_from_a_plugin_is_renewed_when_it_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", PLUGIN, str(tmp_path / "runs")],
    }
    monkeypatch.setattr(credentials, "_RENEW_SECONDS", 0.0)
    configuration = await credentials.load_configuration(kubeconfig(tmp_path / "config", {"exec": plugin}))
    assert configuration.host == "https://cluster.example:6443"
    assert [await token(configuration), await token(configuration)] == ["Bearer token-2", "Bearer token-3"]


async def test_the_plugin_is_not_asked_before_every_request(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", PLUGIN, str(tmp_path / "runs")],
    }
    configuration = await credentials.load_configuration(kubeconfig(tmp_path / "config", {"exec": plugin}))
    assert [await token(configuration), await token(configuration)] == ["Bearer token-1", "Bearer token-1"]


def id_token(expires: int) -> str:
    """One that says when it expires, which is all that anybody reads of it here."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # kubernetes-asyncio uses aiohttp as it was
async def test_a_token_of_openid_connect_is_renewed_at_its_issuer(tmp_path: Path) -> None:
    old, new = id_token(1_577_836_800), id_token(4_102_444_800)
    asked = []

    async def discover(request: web.Request) -> web.Response:
        return web.json_response({"token_endpoint": str(request.url.with_path("/token"))})

    async def renew(request: web.Request) -> web.Response:
        asked.append((await request.post())["refresh_token"])
        return web.json_response({"id_token": new, "refresh_token": "next"})

    app = web.Application()
    app.add_routes([web.get("/.well-known/openid-configuration", discover), web.post("/token", renew)])
    async with TestServer(app) as issuer:
        config = {
            "client-id": "kubernetes",
            "client-secret": "secret",
            "id-token": old,
            "idp-issuer-url": str(issuer.make_url("/")),
            "refresh-token": "first",
        }
        file = kubeconfig(tmp_path / "config", {"auth-provider": {"name": "oidc", "config": config}})
        configuration = await credentials.load_configuration(file)
        assert await token(configuration) == f"Bearer {new}"
    assert asked == ["first"]


async def test_a_pods_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("first")
    (tmp_path / "ca.crt").write_text("a certificate")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(incluster_config, "TOKEN_REFRESH_PERIOD", incluster_config.datetime.timedelta(0))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    configuration = await credentials.load_configuration(None)
    assert (configuration.host, await token(configuration)) == ("https://10.0.0.1:443", "Bearer first")
    (tmp_path / "token").write_text("second")
    assert await token(configuration) == "Bearer second"


async def test_a_kubeconfig_given_by_name_goes_before_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    configuration = await credentials.load_configuration(kubeconfig(tmp_path / "config", {"token": "mine"}))
    assert (configuration.host, await token(configuration)) == ("https://cluster.example:6443", "Bearer mine")


@pytest.mark.parametrize("text", [None, "", "- a list", "{ broken", "current-context: missing\ncontexts: []"])
async def test_a_kubeconfig_that_cannot_be_used_is_named(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KubeError, match=f"cannot use kubeconfig {path}: ."):
        await credentials.load_configuration(path)


@pytest.mark.parametrize(
    ("exceptions", "proxy"),
    [
        ("10.0.0.0/8", None),
        ("10.0.0.1", None),
        ("10.0.0.1:443,example.com", None),
        ("*", None),
        ("10.1.0.0/16,10.0.0.1:6443", "http://proxy.example:3128"),
    ],
)
async def test_a_pod_reaches_its_cluster_without_the_proxy_where_that_is_said(
    exceptions: str, proxy: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, constant in (("token", "SERVICE_TOKEN_FILENAME"), ("ca.crt", "SERVICE_CERT_FILENAME")):
        (tmp_path / path).write_text("anything")
        monkeypatch.setattr(incluster_config, constant, str(tmp_path / path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (await credentials.load_configuration(None)).proxy == proxy
