"""The real Docker engine and compose, with the service's image built as shipped.

The control plane and Temporal are images made here from the binaries that all tests run on, so that no registry is
asked for them; COMPOSE_TEST_IMAGES=public takes those that docker-compose.yml names. PYTHON_IMAGE names another base.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest

from localcluster import binaries
from localcluster.processes import free_port
from localcluster.tools import tool
from support.clusters import ROOT
from support.compose import NET_BIND_SERVICE, Stack, image_of, run, works

_IMAGE = "experiment-operator:tests"


@pytest.fixture(scope="session")
def compose_command() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if works(*command, "version") and not run(*command, "version", "--short").startswith("1."):
            return command
    return pytest.skip("NOT TESTED: Docker compose v2 is not installed")


@pytest.fixture(scope="session")
def docker(folder: str) -> str:  # noqa: ARG001 - it makes a stack: what still runs for another folder ends
    """The command, once an engine answers it."""
    if not works("docker", "version"):
        pytest.skip("NOT TESTED: no Docker engine answers")
    return "docker"


@pytest.fixture(scope="session")
def operator_image(docker: str, compose_command: list[str]) -> str:
    base = os.environ.get("PYTHON_IMAGE") or "python:3.13-slim"
    if not works(docker, "image", "inspect", base) and not works(docker, "pull", base, seconds=120):
        pytest.skip(f"NOT TESTED: {base} cannot be pulled; PYTHON_IMAGE names another base (docs/compose.md)")
    run(*compose_command, "build", "--quiet", environ={"OPERATOR_IMAGE": _IMAGE}, cwd=ROOT)
    return _IMAGE


@pytest.fixture(scope="session")
async def local_images(docker: str) -> dict[str, str]:
    """The variables of docker-compose.yml with the images that stand in for the official ones."""
    if sys.platform != "linux" or os.environ.get("COMPOSE_TEST_IMAGES") == "public":
        return {}
    found = await binaries.ensure()
    return {
        "ETCD_IMAGE": image_of(docker, found.etcd, "usr/local/bin/etcd"),
        "APISERVER_IMAGE": image_of(docker, found.kube_apiserver, "usr/local/bin/kube-apiserver", NET_BIND_SERVICE),
        "CONTROLLER_MANAGER_IMAGE": image_of(
            docker, found.kube_controller_manager, "usr/local/bin/kube-controller-manager"
        ),
        "TEMPORAL_IMAGE": image_of(docker, tool("temporal"), "temporal"),
    }


@pytest.fixture(scope="session")
def stack(
    compose_command: list[str],
    operator_image: str,
    local_images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """As shipped but for the images, the ports (any free ones) and the name, since another may be running."""
    directory = tmp_path_factory.mktemp("compose")
    for file in ("docker-compose.yml", ".env"):
        shutil.copy(ROOT / file, directory)
    if os.geteuid() == 0:
        os.chown(directory / "docker-compose.yml", 1234, 1234)
    api, temporal, ui, kubernetes = (free_port() for _ in range(4))
    environ = {
        **local_images,
        "OPERATOR_IMAGE": operator_image,
        "API_HOST_PORT": str(api),
        "TEMPORAL_HOST_PORT": str(temporal),
        "TEMPORAL_UI_HOST_PORT": str(ui),
        "KUBERNETES_HOST_PORT": str(kubernetes),
        "COMPOSE_PROJECT_NAME": (project := f"experiment-operator-tests-{os.getpid()}"),
    }
    made = Stack(directory, project, f"http://127.0.0.1:{api}", f"http://127.0.0.1:{ui}", compose_command, environ)
    try:
        made.up()
        yield made
    finally:
        made.compose("down", "--volumes")
