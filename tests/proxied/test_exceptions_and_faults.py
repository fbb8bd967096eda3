"""What NO_PROXY names is never asked of the proxy; where the way through one is barred, the error says so."""

from __future__ import annotations

import asyncio
import os

import pytest

from experiment_operator.cli import main
from kube.client import KubeClient
from kube.errors import KubeError, UnavailableError
from localcluster.tools import tool
from proxies.environment import ProxyError
from support.proxy import ForwardProxy
from temporal.client import connect
from testkube.client import TestkubeClient
from testkube.errors import Unavailable as TestkubeUnavailable

KUBERNETES, TEMPORAL, TESTKUBE = "kubernetes.example:6443", "temporal.example:7233", "testkube.example:8088"
SOCKS = "socks5://ann:s3cret@127.0.0.1:9"


async def _call_all(kubeconfig):
    """What each of the three says, which cannot be found without the proxy."""
    said = []
    async with await KubeClient.connect(kubeconfig) as kube, TestkubeClient(f"http://{TESTKUBE}") as testkube:
        for call in (kube.discover("/version"), testkube.info(), connect(lazy=False)):
            with pytest.raises((UnavailableError, TestkubeUnavailable, RuntimeError)) as caught:
                await call
            said.append(str(caught.value))
    return said


@pytest.fixture
def meant(without_proxies, proxy):
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        without_proxies.setenv(name, proxy.url)
    without_proxies.setenv("TEMPORAL_ADDRESS", TEMPORAL)
    without_proxies.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    return without_proxies


@pytest.mark.parametrize("exceptions", ["*", ".example", f"{KUBERNETES},{TEMPORAL},{TESTKUBE}", "EXAMPLE"])
async def test_exceptions_are_reached_directly(meant, proxy, kubeconfig, exceptions):
    meant.setenv("NO_PROXY", exceptions)
    said = await _call_all(kubeconfig())
    assert proxy.asked == []
    assert not any("through the proxy" in each for each in said)


@pytest.mark.usefixtures("meant")
async def test_a_refusal_of_the_proxy_is_told_as_one(proxy, kubeconfig):
    proxy.routes.clear()
    kube, testkube, temporal = await _call_all(kubeconfig())
    assert "403" in kube
    assert kube.endswith(f"(through the proxy {proxy.url})")
    assert "403" in testkube
    assert "CONNECT call failed with status: 403" in temporal


async def test_a_dead_proxy_is_named_without_its_password(meant, kubeconfig):
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        meant.setenv(name, "http://ann:s3cret@127.0.0.1:9")
    kube, testkube, _ = said = await _call_all(kubeconfig())
    assert kube.endswith("(through the proxy http://127.0.0.1:9)")
    assert testkube.endswith("(through the proxy http://127.0.0.1:9)")
    assert "s3cret" not in "".join(said)


async def test_a_proxy_that_cannot_be_used_is_refused_with_a_sentence(meant, kubeconfig):
    meant.setenv("HTTP_PROXY", SOCKS)
    meant.setenv("HTTPS_PROXY", SOCKS)
    words = r"^(HTTPS_PROXY|HTTP_PROXY|proxy-url of the kubeconfig): proxies of socks5:// cannot be used"
    with pytest.raises(KubeError, match=words):
        await KubeClient.connect(kubeconfig())
    with pytest.raises(ProxyError, match=words):
        TestkubeClient(f"http://{TESTKUBE}")
    with pytest.raises(ProxyError, match=words):
        await connect(lazy=True)
    meant.delenv("HTTPS_PROXY")
    with pytest.raises(KubeError, match=words):
        await KubeClient.connect(kubeconfig(**{"proxy-url": SOCKS}))


async def test_temporal_is_reached_by_plain_proxies_only(meant):
    meant.setenv("HTTPS_PROXY", "https://proxy.example")
    with pytest.raises(ProxyError, match=r"^HTTPS_PROXY: Temporal is reached by a proxy of http:// only"):
        await connect(lazy=True)


@pytest.mark.usefixtures("without_proxies")
@pytest.mark.parametrize("destination", ["TEMPORAL_ADDRESS", "TESTKUBE_API_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"])
async def test_a_process_ends_with_that_sentence(cluster, run, destination):
    there = {destination: "there.example:1" if destination == "TEMPORAL_ADDRESS" else "https://there.example"}
    own = {"METRICS_PORT": "0", "TEMPORAL_CONFIG_FILE": os.devnull, "HTTPS_PROXY": SOCKS}
    code, printed = await run({**os.environ, **cluster.env(), **own, **there}, "worker", "--log-level=error")
    assert code == 1
    assert printed.startswith("experiment-operator worker: HTTPS_PROXY: proxies of socks5:// cannot be used")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("arguments", [["history", "weather", "--server=https://there.example"], ["why", "weather"]])
def test_a_command_refuses_a_proxy_that_cannot_be_used(without_proxies, kubeconfig, capsys, arguments):
    without_proxies.setenv("HTTPS_PROXY", SOCKS)
    without_proxies.setenv("EXPERIMENT_OPERATOR_KUBECONFIG", str(kubeconfig()))
    assert main(arguments) == 1
    assert "experiment-operator: HTTPS_PROXY: proxies of socks5://" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("server", "variables"),
    [
        (KUBERNETES, {"HTTPS_PROXY": "first", "HTTP_PROXY": "second"}),
        (KUBERNETES, {"HTTPS_PROXY": "first", "https_proxy": "second"}),
        (KUBERNETES, {"https_proxy": "first", "HTTPS_PROXY": ""}),
        ("192.0.2.1", {"HTTPS_PROXY": "first", "NO_PROXY": "192.0.2.0/24"}),
        ("192.0.2.1", {"HTTPS_PROXY": "first", "NO_PROXY": "192.0.2.1:6443", "no_proxy": "*"}),
        ("192.0.2.1:6443", {"HTTPS_PROXY": "first", "NO_PROXY": "192.0.2.1:6443"}),
        ("127.0.0.1:9", {"HTTPS_PROXY": "first"}),
        ("localhost:9", {"HTTPS_PROXY": "first"}),
        (KUBERNETES, {"ALL_PROXY": "first", "HTTP_PROXY": "second"}),
    ],
)
async def test_kubectl_chooses_the_same_proxy(kubeconfig, without_proxies, server, variables):
    file = kubeconfig(server=f"https://{server}")
    asked = []
    async with ForwardProxy({}) as first, ForwardProxy({}) as second:
        urls = {"first": first.url, "second": second.url}
        environ = {name: urls.get(value, value) for name, value in variables.items()}
        command = (tool("kubectl"), "--kubeconfig", file, "get", "--raw=/version", "--request-timeout=2s")
        kubectl = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environ}, stderr=-3)
        assert await kubectl.wait() == 1
        asked.append((bool(first.asked), bool(second.asked)))
        for name, value in environ.items():
            without_proxies.setenv(name, value)
        async with await KubeClient.connect(file) as client:
            with pytest.raises(UnavailableError):
                await client.discover("/version")
        asked.append((bool(first.asked), bool(second.asked)))
    assert asked[0] == asked[1]
