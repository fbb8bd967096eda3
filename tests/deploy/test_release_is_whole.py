"""`make release`: everything that somebody needs who has not got the repository, of one version, and with checksums."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile

import pytest
import yaml

from release import carry, helm
from release.__main__ import OVERLAYS

ROOT = carry.ROOT
pytestmark = pytest.mark.skipif(
    not helm.find() or not (ROOT / ".venv-release" / ".ready").exists(),
    reason="NO RELEASE IS TRIED: `make release` gets what that needs",
)
VERSION = carry.version()


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Without an engine: tests/compose builds the image."""
    directory = tmp_path_factory.mktemp("release") / "dist"
    environ = {**os.environ, "DOCKER_HOST": "unix:///nowhere", "REGISTRY": "registry.example.com/platform/"}
    command = [sys.executable, "-m", "release", "--into", directory]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "NO IMAGE" in done.stderr
    return directory


def test_it_is_whole_and_each_file_has_its_checksum(released):
    assert {path.name for path in released.iterdir()} == {
        "SHA256SUMS",
        f"experiment_operator-{VERSION}-py3-none-any.whl",
        f"experiment-operator-{VERSION}.cdx.json",
        f"experiment-operator-{VERSION}.tgz",
        *(f"install-{name}.yaml" for name in OVERLAYS),
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


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_overlay_is_one_file_that_names_the_image_as_it_will_be_pulled(released, built, name):
    objects = [obj for obj in yaml.safe_load_all((released / f"install-{name}.yaml").read_text()) if obj]
    image = f"registry.example.com/platform/experiment-operator:{VERSION}"
    pods = [obj["spec"]["template"]["spec"] for obj in objects if obj["kind"] == "Deployment"]
    assert {container["image"] for pod in pods for container in pod["containers"]} == {image}
    said = json.dumps(objects).replace(image, f"experiment-operator:{VERSION}")
    assert json.loads(said) == built(OVERLAYS[name])


def test_the_sbom_has_what_the_lock_file_pins(released):
    bom = json.loads(next(released.glob("*.cdx.json")).read_text())
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == ("CycloneDX", VERSION)
    pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert {(each["name"], each["version"]) for each in bom["components"]} == set(pinned)
