"""The control plane's binaries are taken from where they are, or made once for all who need them."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from localcluster import BinariesError
from localcluster.binaries import Binaries, cache_directory, ensure, find
from localcluster.download import Hosts

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")

# Notes each call, takes a moment over a build, and makes what a build would make.
FAKE_GO = """#!/bin/sh
echo "$1" >>"$0.calls"
[ "$1" = build ] || exit 0
sleep 0.3
while [ "$1" != -o ]; do shift; done
directory=$2
mkdir -p "$directory"
for name in server kube-apiserver kube-controller-manager; do
  echo >"$directory/$name"
  chmod +x "$directory/$name"
done
"""


def executable(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def filled(directory: Path, names: tuple[str, ...] = NAMES) -> str:
    for name in names:
        executable(directory / name)
    return str(directory)


@pytest.fixture
def go(tmp_path, monkeypatch) -> Path:
    """The only Go on PATH."""
    fake = executable(tmp_path / "bin" / "go", FAKE_GO)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    return fake


def calls(go: Path) -> list[str]:
    return Path(f"{go}.calls").read_text().split()


def test_own_variable_goes_before_envtests_before_path_before_cache(tmp_path):
    environ = {
        "EXPERIMENT_OPERATOR_ASSETS": filled(tmp_path / "own"),
        "KUBEBUILDER_ASSETS": filled(tmp_path / "envtest"),
        "PATH": filled(tmp_path / "path"),
        "EXPERIMENT_OPERATOR_CACHE": str(tmp_path / "cache"),
    }
    filled(cache_directory(environ))
    for variable in ("EXPERIMENT_OPERATOR_ASSETS", "KUBEBUILDER_ASSETS", "PATH"):
        assert find(environ) == Binaries.at(Path(environ.pop(variable)))
    assert find(environ) == Binaries.at(cache_directory(environ))


def test_a_place_that_lacks_one_of_the_three_does_not_count(tmp_path):
    environ = {
        "KUBEBUILDER_ASSETS": filled(tmp_path / "envtest", ("etcd", "kube-apiserver", "kubectl")),
        "PATH": filled(tmp_path / "path", ("etcd",)),
        "EXPERIMENT_OPERATOR_CACHE": str(tmp_path / "cache"),
    }
    assert find(environ) is None


def test_own_variable_that_leads_nowhere_is_an_error(tmp_path):
    with pytest.raises(BinariesError, match="kube-controller-manager"):
        find({"EXPERIMENT_OPERATOR_ASSETS": filled(tmp_path, ("etcd", "kube-apiserver"))})


async def test_without_go_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinariesError, match=r"install Go 1\.26, or set KUBEBUILDER_ASSETS"):
        await ensure({"EXPERIMENT_OPERATOR_CACHE": str(tmp_path), "EXPERIMENT_OPERATOR_DOWNLOAD": "off"}, print)


async def test_a_failing_build_shows_what_go_said(tmp_path, go):
    executable(go, "#!/bin/sh\necho 'no required module provides this package' >&2\nexit 1\n")
    with pytest.raises(BinariesError, match="no required module provides this package"):
        await ensure({"EXPERIMENT_OPERATOR_CACHE": str(tmp_path), "EXPERIMENT_OPERATOR_DOWNLOAD": "off"}, print)


async def test_what_cannot_be_downloaded_is_built(tmp_path, go):
    environ = {"EXPERIMENT_OPERATOR_CACHE": str(tmp_path)}
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        black_hole = f"https://127.0.0.1:{silent.getsockname()[1]}"
        found = await ensure(environ, said.append, Hosts(black_hole, black_hole, connect_limit=0.1))
    assert found == Binaries.at(cache_directory(environ)) == find(environ)
    assert calls(go) == ["list", "build"]
    assert any("cannot download" in line and "etcd will be built" in line for line in said)


async def test_two_processes_that_need_them_at_once_share_one_build(tmp_path, go):
    environ = {**os.environ, "EXPERIMENT_OPERATOR_CACHE": str(tmp_path), "EXPERIMENT_OPERATOR_DOWNLOAD": "off"}
    environ.pop("EXPERIMENT_OPERATOR_ASSETS", None)
    environ.pop("KUBEBUILDER_ASSETS", None)
    command = [sys.executable, "-m", "localcluster.prepare"]
    both = [
        await asyncio.create_subprocess_exec(*command, env=environ, stdout=asyncio.subprocess.PIPE) for _ in range(2)
    ]
    outputs = [(await process.communicate())[0].decode().strip() for process in both]
    assert outputs == [str(cache_directory(environ))] * 2
    assert calls(go) == ["list", "build"]
