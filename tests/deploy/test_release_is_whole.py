"""`make release`: everything that somebody needs who has not got the repository, of one version, and with checksums."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from release import carry, helm
from release.__main__ import MANIFESTS

ROOT = carry.ROOT
pytestmark = pytest.mark.skipif(
    not helm.find() or not (ROOT / ".venv-release" / ".ready").exists(),
    reason="NO RELEASE IS TRIED: `make release` gets what that needs",
)
VERSION = carry.version()


# Stands in for the engine, which tests/compose has: answers, notes what it is told, and saves what it was to build.
DOCKER = """#!/bin/sh
echo "$@" >>"$0.calls"
if [ "$1" = save ]; then echo "$4" >"$3"; fi
"""
IMAGE = f"registry.example.com/platform/experiment-operator:{VERSION}"


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    stand_in = tmp_path_factory.mktemp("bin") / "docker"
    stand_in.write_text(DOCKER)
    stand_in.chmod(0o755)
    return stand_in


@pytest.fixture(scope="module")
def released(tmp_path_factory, docker):
    directory = tmp_path_factory.mktemp("release") / "dist"
    path = f"{docker.parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "release", "--into", directory, "--registry", "registry.example.com/platform/"]
    environ = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory


def test_the_image_is_named_as_it_will_be_pulled(released, docker):
    assert (released / f"experiment-operator-{VERSION}-image.tar").read_text().strip() == IMAGE
    (build,) = (call for call in Path(f"{docker}.calls").read_text().splitlines() if call.startswith("build "))
    assert f"--build-arg VERSION={VERSION} " in build
    assert build.endswith(f" --tag {IMAGE} .")


def test_it_is_whole_and_each_file_has_its_checksum(released):
    assert {path.name for path in released.iterdir()} == {
        "SHA256SUMS",
        f"experiment_operator-{VERSION}-py3-none-any.whl",
        f"experiment-operator-{VERSION}-image.tar",
        f"experiment-operator-{VERSION}.cdx.json",
        f"experiment-operator-{VERSION}.tgz",
        f"kubectl-experiment-{VERSION}.tar.gz",
        "krew-experiment.yaml",
        *MANIFESTS,
    }
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=released, check=False)
    assert checked.returncode == 0
    assert len((released / "SHA256SUMS").read_text().splitlines()) == len(list(released.iterdir())) - 1


def test_wheel_and_chart_are_of_the_version(released):
    with zipfile.ZipFile(next(released.glob("*.whl"))) as wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        assert f"\nVersion: {VERSION}\n" in wheel.read(metadata).decode()
        assert not [name for name in wheel.namelist() if name.startswith(("release/", "tests/", "benchmarks/"))]
    shown = subprocess.run(
        [helm.find(), "show", "chart", next(released.glob("*.tgz"))], capture_output=True, text=True, check=True
    )
    chart = yaml.safe_load(shown.stdout)
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


@pytest.mark.parametrize("name", MANIFESTS)
def test_each_overlay_is_one_file_that_names_the_image_as_it_will_be_pulled(released, built, name):
    objects = [obj for obj in yaml.safe_load_all((released / name).read_text()) if obj]
    pods = [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] == "Deployment"]
    assert {container["image"] for pod in pods for container in pod["containers"]} <= {IMAGE}
    assert bool(pods) == name.startswith("install-")
    said = json.dumps(objects).replace(IMAGE, f"experiment-operator:{VERSION}")
    assert json.loads(said) == built(MANIFESTS[name])


def test_the_sbom_has_what_the_lock_file_pins(released):
    bom = json.loads(next(released.glob("*.cdx.json")).read_text())
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == ("CycloneDX", VERSION)
    pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert {(each["name"], each["version"]) for each in bom["components"]} == set(pinned)
