"""`docker compose up` gives a stack that works, keeps what was done through a restart, and goes without a trace."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import httpx
import pytest

_SAMPLE = Path(__file__).parents[2] / "deploy" / "samples" / "experiment-dataset-s3.yaml"

pytestmark = pytest.mark.timeout(900)


def _containers(stack):
    """`docker compose ps` prints one JSON object a line, and earlier versions a list of them."""
    printed = stack.compose("ps", "--all", "--format", "json").strip()
    return json.loads(printed) if printed.startswith("[") else list(map(json.loads, printed.splitlines()))


def _runs(stack, name):
    url = f"{stack.api_url}/api/v1/namespaces/sample-agents/experiments/{name}/reconciliations"
    return httpx.get(url, trust_env=False).raise_for_status().json()["items"]


def test_the_sample_becomes_ready(stack):
    stack.kubectl("wait", "-n", "sample-agents", "exp", "weather", "--for=condition=Ready", "--timeout=60s")


def test_every_process_is_healthy(stack):
    health = {container["Service"]: container["Health"] for container in _containers(stack)}
    assert [health[service] for service in ("watcher", "worker", "api", "temporal")] == ["healthy"] * 4


def test_the_kubeconfig_is_for_its_owner_alone(stack):
    kubeconfig = (stack.directory / ".local" / "kubeconfig").stat()
    assert kubeconfig.st_uid == (stack.directory / "docker-compose.yml").stat().st_uid
    assert stat.S_IMODE(kubeconfig.st_mode) == 0o600


def test_what_is_applied_from_the_host_becomes_ready(stack):
    stack.kubectl("apply", "-n", "sample-agents", "-f", _SAMPLE)
    stack.kubectl("wait", "-n", "sample-agents", "-f", _SAMPLE, "--for=condition=Ready", "--timeout=60s")
    children = stack.kubectl("get", "configmaps,testworkflows", "-n", "testkube", "-o", "name").split()
    assert [name for name in children if "weather-nightly" in name]


def test_both_pages_open(stack):
    pages = (f"{stack.api_url}/docs", stack.temporal_ui_url)
    assert [httpx.get(page, trust_env=False).status_code for page in pages] == [200, 200]


def test_a_restart_keeps_objects_and_history(stack):
    before = [run["runId"] for run in _runs(stack, "weather")]
    assert before
    stack.kubectl("annotate", "-n", "sample-agents", "exp", "weather", "note=kept")
    stack.compose("down")
    stack.up()
    kept = stack.kubectl("get", "-n", "sample-agents", "exp", "weather", "-o", "jsonpath={.metadata.annotations.note}")
    assert kept == "kept"
    assert [run["runId"] for run in _runs(stack, "weather")] == before


def test_a_sample_that_was_deleted_stays_deleted(stack):
    stack.kubectl("delete", "-n", "sample-agents", "exp", "weather", "--timeout=60s")
    stack.up()
    left = stack.kubectl("get", "-n", "sample-agents", "exp", "-o", "name").splitlines()
    assert [name.partition("/")[2] for name in left] == ["weather-nightly"]


def test_every_process_ends_when_it_is_told_to(stack):
    stack.compose("stop", "watcher", "worker", "api")
    codes = {container["Service"]: container["ExitCode"] for container in _containers(stack)}
    assert [codes[service] for service in ("watcher", "worker", "api")] == [0, 0, 0]  # 137 is a killed one


def test_down_leaves_nothing(stack):
    assert stack.left()
    stack.compose("down", "--volumes")
    assert stack.left() == []
