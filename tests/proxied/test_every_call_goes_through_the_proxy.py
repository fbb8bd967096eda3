"""Whatever this service calls, it calls through the proxy that the environment means for it, and through no other."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from base64 import b64encode

import pytest
from aiohttp import web

from kube.client import KubeClient
from localcluster import download
from support.proxy import ForwardProxy
from telemetry.otlp import exporter
from temporal.client import connect
from testkube.client import TestkubeClient

KUBERNETES, TEMPORAL, TESTKUBE = "kubernetes.example:6443", "temporal.example:7233", "testkube.example:8088"
READY = {"watcher is ready", "worker is ready", "api listens", "Temporal answers"}
ANN = f"Basic {b64encode(b'ann:s:cret').decode()}"


@pytest.fixture
def meant(without_proxies, proxy):
    """As a company sets it for everybody, with a login; ALL_PROXY is not a rule of Go's."""
    url = proxy.url.replace("://", "://ann:s%3Acret@")
    for name, value in {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": "socks5://127.0.0.1:9"}.items():
        without_proxies.setenv(name, value)
    return without_proxies


@pytest.mark.usefixtures("meant")
async def test_the_api_server_is_called_through_the_proxy(proxy, kubeconfig):
    async with await KubeClient.connect(kubeconfig()) as client:
        assert await client.discover("/version")
    assert (proxy.asked, proxy.logins) == ([KUBERNETES], {ANN})


async def test_a_proxy_in_the_kubeconfig_comes_first(meant, proxy, kubeconfig):
    meant.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    meant.setenv("NO_PROXY", "*")
    async with await KubeClient.connect(kubeconfig(**{"proxy-url": proxy.url})) as client:
        assert await client.discover("/version")
    assert proxy.asked == [KUBERNETES]


async def test_a_proxy_may_be_behind_tls(without_proxies, proxy, cluster, kubeconfig):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster.kubeconfig.parent / "pki" / "apiserver.pem")
    async with ForwardProxy(proxy.routes, context) as behind_tls:
        without_proxies.setenv("HTTPS_PROXY", behind_tls.url)
        async with await KubeClient.connect(kubeconfig()) as client:
            assert await client.discover("/version")
    assert behind_tls.asked == [KUBERNETES]


async def test_temporal_is_called_through_the_proxy(meant, proxy):
    meant.setenv("TEMPORAL_ADDRESS", TEMPORAL)
    meant.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    await connect(lazy=False)
    assert (set(proxy.asked), proxy.logins) == ({TEMPORAL}, {ANN})


@pytest.mark.usefixtures("meant")
async def test_testkube_is_called_through_the_proxy(proxy):
    async with TestkubeClient(f"http://{TESTKUBE}") as client:
        assert (await client.info()).version == "simulation"
    assert (proxy.asked, proxy.logins) == ([TESTKUBE], {ANN})


@pytest.fixture
async def served(proxy):
    """`served["/path"]` is answered with this, at `anywhere.example:80`; what was sent there is in `served["sent"]`."""
    answers = {"sent": b""}

    async def answer(request):
        answers["sent"] += await request.read()
        return answers[request.path] if request.path in answers else web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy.routes["anywhere.example:80"] = ":".join(map(str, runner.addresses[0]))
    yield answers
    await runner.cleanup()


@pytest.mark.usefixtures("meant")
async def test_traces_are_sent_through_the_proxy(proxy, served):
    served["/v1/traces"] = web.Response()
    sending = exporter("http://anywhere.example/")
    await asyncio.to_thread(sending.export, ())
    sending.shutdown()
    assert (proxy.asked, proxy.logins) == (["anywhere.example:80"], {ANN})


async def test_downloads_choose_anew_where_they_are_redirected(meant, proxy, served, tmp_path):
    meant.setenv("NO_PROXY", "elsewhere.example")
    served["/file.sha256"] = web.Response(status=302, headers={"Location": "http://elsewhere.example:1/"})
    release = download.Release("http://anywhere.example/file", "http://anywhere.example/file.sha256")
    with pytest.raises(download.DownloadError, match="ConnectError"):
        await download.fetch(release, tmp_path / "file", print, 3.0)
    assert proxy.asked == ["anywhere.example:80"]


async def test_commands_ask_the_api_through_the_proxy(proxy, served, environ, run, kubeconfig):
    served["/api/v1/namespaces/default/experiments/weather/reconciliations"] = web.json_response({"items": []})
    through = {"HTTP_PROXY": proxy.url}
    code, printed = await run({**environ, **through}, "history", "weather", "--server=http://anywhere.example")
    assert (code, proxy.asked) == (0, ["anywhere.example:80"]), printed
    # Through the API server, which has no such Service.
    alone = {**environ, "KUBECONFIG": str(kubeconfig(**{"proxy-url": proxy.url})), "NO_PROXY": "*"}
    code, printed = await run(alone, "history", "weather")
    assert (code, proxy.asked[1:]) == (1, [KUBERNETES]), printed


async def test_a_whole_process_calls_everything_through_the_proxy(proxy, environ, run):
    through = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url}
    _, printed = await run({**environ, **through}, "doctor", "--role=worker")
    assert f"at {TEMPORAL}" in printed
    assert f"answers at http://{TESTKUBE}" in printed
    assert set(proxy.asked) == {KUBERNETES, TEMPORAL, TESTKUBE}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "experiment_operator", "all"),
        env={**environ, **through, "API_PORT": "0", "LOG_FORMAT": "json"},
        stderr=subprocess.PIPE,
    )
    missing = set(READY)
    while missing and (line := await process.stderr.readline()):
        missing.discard(json.loads(line)["event"])
    process.terminate()
    await process.communicate()
    assert (missing, process.returncode) == (set(), 0)
