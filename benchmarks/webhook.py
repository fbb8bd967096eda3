"""`python -m benchmarks.webhook`: what the admission webhook takes at 200 requests per second, on one core.

It is that of a real api process over TLS, held on one core, with 1,000 Experiments in its caches; the load comes from
this process. Requests begin when they are due, whether or not earlier ones have been answered, and their time counts
from then: a server that falls behind shows. Prints a table; Linux only, for the cores and /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from benchmarks.load import NAMESPACE, experiment
from benchmarks.processes import cpu_seconds
from experiments.resources import AGENT, EXPERIMENT, GROUP
from kube.client import KubeClient
from kube.objects import Object, ObjectRef
from localcluster import LocalCluster
from localcluster.certificates import Authority
from localcluster.processes import free_port

_ROOT = Path(__file__).parents[1]
_EXPERIMENTS = 1000
_PER_SECOND = 200
_CONNECTIONS = 32


async def main(seconds: int) -> None:
    core, *others = sorted(os.sched_getaffinity(0))
    async with LocalCluster.start() as cluster:
        await cluster.install(_ROOT / "crds")
        await cluster.kubectl("create", "namespace", NAMESPACE)
        await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(_ROOT / "deploy" / "testkube"))
        async with await KubeClient.connect(cluster.kubeconfig) as kube:
            await _fill(kube)
        os.sched_setaffinity(0, others or [core])
        async with _api(cluster, core) as (pid, url, context):
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=context)
            async with aiohttp.ClientSession(connector=connector) as http:
                await _measure(http, url, pid, seconds)


async def _fill(kube: KubeClient) -> None:
    """A ready Agent, and Experiments to evaluate it."""
    meta = {"name": "weather", "namespace": NAMESPACE}
    await kube.create(AGENT, {"apiVersion": AGENT.api_version, "kind": AGENT.kind, "metadata": meta, "spec": {}})
    ready = {"status": {"url": f"http://weather.{NAMESPACE}.svc.cluster.local:8000"}}
    await kube.merge_patch(ObjectRef(AGENT, NAMESPACE, "weather"), ready, subresource="status")
    gate = asyncio.Semaphore(_CONNECTIONS)

    async def create(number: int) -> None:
        async with gate:
            await kube.create(EXPERIMENT, experiment(f"existing-{number}"))

    await asyncio.gather(*map(create, range(_EXPERIMENTS)))


@asynccontextmanager
async def _api(cluster: LocalCluster, core: int) -> AsyncIterator[tuple[int, str, ssl.SSLContext]]:
    """Its process, the webhook's URL, and what a client needs to trust it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        context = _certificate(Path(directory))
        settings = {"WEBHOOK": "true", "WEBHOOK_PORT": str(port), "WEBHOOK_TLS_DIR": directory, "LOG_LEVEL": "warning"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "experiment_operator", "api"),
            env={**os.environ, **cluster.env(), **settings, "API_PORT": "0", "METRICS_PORT": "0"},
            cwd=_ROOT,
        )
        os.sched_setaffinity(process.pid, {core})
        try:
            yield process.pid, f"https://127.0.0.1:{port}/validate", context
        finally:
            process.terminate()
            await process.wait()


def _certificate(directory: Path) -> ssl.SSLContext:
    """Made in `directory`; what trusts it."""
    authority = Authority()
    pair = authority.serving()
    (directory / "tls.crt").write_bytes(pair.certificate)
    (directory / "tls.key").write_bytes(pair.key)
    return ssl.create_default_context(cadata=authority.certificate.decode())


async def _measure(http: aiohttp.ClientSession, url: str, pid: int, seconds: int) -> None:
    questions = _questions()
    async with asyncio.timeout(60):
        while not await _is_filled(http, url, questions["a missing Agent, looked for at the API server"]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await _load(http, url, questions["a new Experiment of 2 kB"], 5)  # the first ones load code and open connections
    print(f"| {_PER_SECOND} requests per second | answer | p50 | p99 | longest | CPU |\n|---|---|---|---|---|---|")
    for what, question in questions.items():
        before = cpu_seconds(pid)
        times, allowed = await _load(http, url, question, seconds)
        cpu = (cpu_seconds(pid) - before) / len(times) * 1000
        figures = statistics.median(times), statistics.quantiles(times, n=100)[-1], max(times), cpu
        cells = ["allowed" if allowed else "refused", *(f"{each:.1f} ms" for each in figures)]
        print(f"| {what} | {' | '.join(cells)} |", flush=True)


async def _is_filled(http: aiohttp.ClientSession, url: str, nonsense: bytes) -> bool:
    """Whether it listens, and refuses what it cannot judge before."""
    try:
        return not (await _load(http, url, nonsense, 0.01))[1]
    except aiohttp.ClientConnectionError:
        return False


async def _load(http: aiohttp.ClientSession, url: str, question: bytes, seconds: float) -> tuple[list[float], bool]:
    """The time of each request in milliseconds, and whether what was asked for is allowed."""
    started = time.perf_counter()

    async def ask(number: int) -> tuple[float, Any]:
        due = started + number / _PER_SECOND
        await asyncio.sleep(due - time.perf_counter())
        async with http.post(url, data=question) as response:
            answer = await response.json()
        return (time.perf_counter() - due) * 1000, answer["response"]["allowed"]

    answers = await asyncio.gather(*map(ask, range(round(seconds * _PER_SECOND))))
    return [each for each, _ in answers], all(allowed for _, allowed in answers)


def _questions() -> dict[str, bytes]:
    new = experiment("new")
    edited, never, lonely, large = (copy.deepcopy(new) for _ in range(4))
    edited["spec"]["llmAsAJudgeModel"] = "another"
    never["spec"]["schedule"] = {"cron": "0 0 30 2 *"}
    lonely["spec"]["agentRef"]["name"] = "nobody"
    large["spec"]["scenarios"] = [{**new["spec"]["scenarios"][0], "name": str(number)} for number in range(30)]
    return {
        "a new Experiment of 2 kB": _question(new),
        "an edited one": _question(edited, new),
        "a new one of 17 kB": _question(large),
        "a schedule that never comes": _question(never),
        "a missing Agent, looked for at the API server": _question(lonely),
    }


def _question(obj: Object, old: Object | None = None) -> bytes:
    kind = {"group": GROUP, "version": "v1alpha1", "kind": EXPERIMENT.kind}
    request = {"uid": "a", "kind": kind, "operation": "UPDATE" if old else "CREATE", "object": obj, "oldObject": old}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhook", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=30, help="length of each series (default: %(default)s)")
    uvloop.run(main(parser.parse_args().seconds))
