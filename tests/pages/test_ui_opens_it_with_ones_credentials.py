"""`experiment-operator ui` serves the page on this machine with a person's credentials, to that page alone."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.auth.kubernetes import ByKubernetes
from kube.client import KubeClient
from support.evaluated import Evaluated
from support.people import People
from support.processes import ServiceProcess


@pytest.fixture
async def ui(
    serve: Callable[..., Any], kube: KubeClient, people: People, evaluated: Evaluated, tmp_path: Path
) -> AsyncIterator[tuple[ServiceProcess, httpx.AsyncClient]]:
    """The command at an api where RBAC decides, and a client that has no token."""
    await people.add("ann", (evaluated.target.namespace, "get list update"))
    async with serve(ByKubernetes(kube)) as api:
        own = {"EXPERIMENT_OPERATOR_SERVER": str(api.base_url), "EXPERIMENT_OPERATOR_BROWSER": "false"}
        own |= {"EXPERIMENT_OPERATOR_TOKEN": people.tokens["ann"], "KUBECONFIG": os.devnull}
        process = await ServiceProcess.start("ui", tmp_path / "ui.log", own)
        try:
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+", await process.says("The page is at"))
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
                yield process, http
        finally:
            await process.kill()


async def test_pages_forms_and_streams_go_through(
    ui: tuple[ServiceProcess, httpx.AsyncClient], evaluated: Evaluated
) -> None:
    process, http = ui
    where = f"/experiments/{evaluated.target.namespace}/demo"
    page = await http.get("/")
    assert f".{where}" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "Reconcile now" in (await http.get(where)).text
    origin = str(http.base_url).rstrip("/")
    assert (await http.post(f"{where}/reconcile", headers={"Origin": origin})).status_code == 303
    assert (await http.post(f"{where}/reconcile")).status_code == 403  # no browser sends it like this
    async with http.stream("GET", f"/api/v1/namespaces/{evaluated.target.namespace}/experiments/demo/events") as stream:
        lines = stream.aiter_lines()
        while await anext(lines) != "event: synced":
            pass  # it comes while the stream is open
    process.process.send_signal(signal.SIGINT)
    assert await process.process.wait() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_other_names_and_pages_get_nothing(
    ui: tuple[ServiceProcess, httpx.AsyncClient], headers: dict[str, str]
) -> None:
    for method in ("GET", "POST"):
        answer = await ui[1].request(method, "/api/v1/experiments", headers=headers)
        assert answer.status_code == 403
        assert "demo" not in answer.text


async def test_without_an_api_it_says_so(tmp_path: Path) -> None:
    own = {"EXPERIMENT_OPERATOR_SERVER": "http://127.0.0.1:1", "EXPERIMENT_OPERATOR_BROWSER": "false"}
    process = await ServiceProcess.start("ui", tmp_path / "ui.log", {**own, "KUBECONFIG": os.devnull})
    try:
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+", await process.says("The page is at"))
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{url}/")
        assert answer.status_code == 502
        assert "127.0.0.1:1" in answer.text
    finally:
        await process.kill()
