"""Krew installs `kubectl experiment` from an archive, which sets itself up at its first call."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile

import pytest
import yaml

from release import carry, krew

VERSION = carry.version()
# Stands in for an interpreter: makes an environment of itself, notes what pip is to install, and what is run at last.
PYTHON = """#!/bin/sh
case "$2" in
venv)
  for into; do :; done
  mkdir -p "$into/bin" && cp "$0" "$into/bin/python"
  printf '#!/bin/sh\\necho started "$@"\\n' >"$into/bin/kubectl-experiment"
  chmod +x "$into/bin/kubectl-experiment" ;;
pip) echo "$@" >>"$NOTES" ;;
esac
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A release's directory, as far as krew goes; what is in a wheel does not matter here."""
    into = tmp_path_factory.mktemp("dist")
    (into / f"experiment_operator-{VERSION}-py3-none-any.whl").touch()
    krew.write(into, "https://downloads.example.com/")
    return into


def test_krew_finds_the_plugin_as_its_manifest_says(released):
    manifest = yaml.safe_load((released / "krew-experiment.yaml").read_text())
    (platform,) = manifest["spec"]["platforms"]
    archive = released / f"kubectl-experiment-{VERSION}.tar.gz"
    assert (manifest["metadata"]["name"], manifest["spec"]["version"]) == ("experiment", f"v{VERSION}")
    assert platform["uri"] == f"https://downloads.example.com/{archive.name}"
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as packed:
        modes = {entry.name: entry.mode for entry in packed}
    wheel = f"experiment_operator-{VERSION}-py3-none-any.whl"
    assert modes == {platform["bin"]: 0o755, wheel: 0o644, "requirements.lock": 0o644, "LICENSE": 0o644}


@pytest.fixture
def unpacked(released, tmp_path):
    """As krew unpacks it, beside a link on the PATH and a Python that installs nothing."""
    with tarfile.open(released / f"kubectl-experiment-{VERSION}.tar.gz") as packed:
        packed.extractall(tmp_path / "store", filter="data")
    (tmp_path / "kubectl-experiment").symlink_to(tmp_path / "store" / "kubectl-experiment")
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def test_the_plugin_sets_itself_up_once_from_what_is_pinned(unpacked):
    environ = {**os.environ, "PYTHON": str(unpacked / "python"), "NOTES": str(unpacked / "notes")}
    for told in (True, False):
        command = [unpacked / "kubectl-experiment", "why", "weather"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert (done.stdout, bool(done.stderr)) == ("started why weather\n", told)
    locked, wheel = (unpacked / "notes").read_text().splitlines()
    assert "--require-hashes" in locked
    assert locked.endswith("/store/requirements.lock")
    assert "--no-deps" in wheel
    assert wheel.endswith(".whl")
