"""A Docker engine, images for it, and what `docker compose` makes of docker-compose.yml."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localcluster.tools import tool

# As in the official image: the program may listen on ports below 1024, and does not start where it could not.
NET_BIND_SERVICE = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0).decode()


def run(*command: str | Path, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Returns the standard output; what went wrong is in the failure of the test."""
    environment = {**os.environ, **(environ or {})}
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def works(*command: str, seconds: float = 30) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=seconds).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def image_of(docker: str, binary: Path, path: str, capability: str | None = None) -> str:
    """An image of nothing but this binary, at the path of the official one; named by its content, and so made once."""
    name = f"experiment-operator-tests/{binary.name}:{hashlib.sha256(binary.read_bytes()).hexdigest()[:12]}"
    if works(docker, "image", "inspect", name):
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
