"""The real Docker engine and compose, with the service's image built as shipped.

The control plane and Temporal are images made here from the binaries that all tests run on, so that no registry is
asked for them; COMPOSE_TEST_IMAGES=public takes those that docker-compose.yml names. PYTHON_IMAGE names another base.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcluster import binaries
from localcluster.processes import free_port
from localcluster.tools import tool

_ROOT = Path(__file__).parents[2]
_IMAGE = "experiment-operator:tests"
# As in the official image: the program may listen on ports below 1024, and does not start where it could not.
_NET_BIND_SERVICE = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0).decode()


def run(*command: str | Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Returns the standard output; what went wrong is in the failure of the test."""
    environment = {**os.environ, **(environ or {})}
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _works(*command: str, seconds: float = 30) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=seconds).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


@pytest.fixture(scope="session")
def compose_command() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"]):
        if _works(*command, "version") and not run(*command, "version", "--short").startswith("1."):
            return command
    return pytest.skip("NOT TESTED: Docker compose v2 is not installed")


@pytest.fixture(scope="session")
def docker() -> str:
    """The command, once an engine answers it."""
    if not _works("docker", "version"):
        pytest.skip("NOT TESTED: no Docker engine answers")
    return "docker"


@pytest.fixture(scope="session")
def operator_image(docker: str, compose_command: list[str]) -> str:
    base = os.environ.get("PYTHON_IMAGE") or "python:3.13-slim"
    if not _works(docker, "image", "inspect", base) and not _works(docker, "pull", base, seconds=120):
        pytest.skip(f"NOT TESTED: {base} cannot be pulled; PYTHON_IMAGE names another base (docs/compose.md)")
    run(*compose_command, "build", "--quiet", environ={"OPERATOR_IMAGE": _IMAGE}, cwd=_ROOT)
    return _IMAGE


@pytest.fixture(scope="session")
async def local_images(docker: str) -> dict[str, str]:
    """The variables of docker-compose.yml with the images that stand in for the official ones."""
    if sys.platform != "linux" or os.environ.get("COMPOSE_TEST_IMAGES") == "public":
        return {}
    found = await binaries.ensure()
    return {
        "ETCD_IMAGE": _image(docker, found.etcd, "usr/local/bin/etcd"),
        "APISERVER_IMAGE": _image(docker, found.kube_apiserver, "usr/local/bin/kube-apiserver", _NET_BIND_SERVICE),
        "CONTROLLER_MANAGER_IMAGE": _image(
            docker, found.kube_controller_manager, "usr/local/bin/kube-controller-manager"
        ),
        "TEMPORAL_IMAGE": _image(docker, tool("temporal"), "temporal"),
    }


def _image(docker: str, binary: Path, path: str, capability: str | None = None) -> str:
    """An image of nothing but this binary, at the path of the official one; named by its content, and so made once."""
    name = f"experiment-operator-tests/{binary.name}:{hashlib.sha256(binary.read_bytes()).hexdigest()[:12]}"
    if _works(docker, "image", "inspect", name):
        return name
    command = [docker, "import", f'--change=ENTRYPOINT ["/{path}"]', "-", name]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as importing,
        tarfile.open(fileobj=importing.stdin, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        binary.open("rb") as content,
    ):
        member = archive.gettarinfo(binary.resolve(), path)
        member.mode = 0o755
        if capability:
            member.pax_headers = {"SCHILY.xattr.security.capability": capability}
        archive.addfile(member, content)
    assert importing.returncode == 0
    return name


@dataclass(frozen=True)
class Stack:
    """What `docker compose up` has made of a copy of docker-compose.yml, alone in `directory`."""

    directory: Path
    project: str
    api_url: str
    temporal_ui_url: str
    _command: list[str]
    _environ: dict[str, str]

    def compose(self, *arguments: str) -> str:
        return run(*self._command, *arguments, environ=self._environ, cwd=self.directory)

    def up(self) -> None:
        self.compose("up", "--detach", "--wait", "--no-build", "--quiet-pull")

    def kubectl(self, *arguments: str | Path) -> str:
        """From the host, with the kubeconfig that is left there."""
        places = {"KUBECONFIG": f"{self.directory}/.local/kubeconfig", "KUBECACHEDIR": f"{self.directory}/cache"}
        return run(tool("kubectl"), *arguments, environ=places)

    def left(self) -> list[str]:
        """All that the engine still has of it."""
        label = ("--filter", f"label=com.docker.compose.project={self.project}", "--format", "{{json .}}")
        commands = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [line for command in commands for line in run("docker", *command, *label).splitlines()]


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
        shutil.copy(_ROOT / file, directory)
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
