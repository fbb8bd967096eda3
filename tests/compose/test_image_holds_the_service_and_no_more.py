"""The image runs as shipped in the strictest pod: no root, no shell, nothing written, and it hears SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_STRICT = ("--rm", "--read-only", "--cap-drop=ALL", "--network=none", "--security-opt=no-new-privileges:true")
_MEGABYTES = 1_000_000

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def inspected(operator_image):
    printed = subprocess.run(["docker", "image", "inspect", operator_image], capture_output=True, check=True)
    return json.loads(printed.stdout)[0]


def _python(image, code):
    """What `code` prints in there."""
    command = ["docker", "run", *_STRICT, "--entrypoint=python3", image, "-c", code]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_the_image_says_what_it_is(inspected):
    config = inspected["Config"]
    assert config["Entrypoint"] == ["experiment-operator"]
    assert config["User"] == "65532:65532"
    assert not config.get("Healthcheck")
    assert config["Labels"]["org.opencontainers.image.title"] == "experiment-operator"


@pytest.mark.parametrize("user", [(), ("--user=1000680000:0",)], ids=["its own user", "one that OpenShift chose"])
def test_it_runs_where_nothing_is_allowed(operator_image, user):
    done = subprocess.run(["docker", "run", *_STRICT, *user, operator_image, "crd"], capture_output=True, check=True)
    assert b"kind: CustomResourceDefinition" in done.stdout


def test_it_has_no_tools_to_make_more(operator_image):
    code = """
import importlib.util, json, shutil
print(json.dumps([name for name in ("cc", "gcc", "ld", "make", "git", "curl") if shutil.which(name)]
    + [name for name in ("pip", "setuptools", "hatchling", "pytest") if importlib.util.find_spec(name)]))
"""
    assert _python(operator_image, code) == []


def test_every_module_of_the_service_is_byte_compiled(operator_image):
    code = """
import importlib.util, json, pathlib, experiment_operator
site = pathlib.Path(experiment_operator.__file__).parents[1]
print(json.dumps([str(path) for path in site.rglob("*.py") if "lib2to3" not in path.parts
    and not pathlib.Path(importlib.util.cache_from_source(path)).exists()]))
"""
    assert _python(operator_image, code) == []


def test_it_adds_less_than_200_megabytes_to_its_base(operator_image):
    command = ["docker", "history", "--human=false", "--format={{.Size}} {{.CreatedBy}}", operator_image]
    layers = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    (own,) = [int(layer.partition(" ")[0]) for layer in layers if "COPY /opt/experiment-operator" in layer]
    assert own < 200 * _MEGABYTES


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process shows which signals it has a handler for")
def test_a_sigterm_during_the_start_is_heard():
    """The first process of a container is spared every signal that it has no handler for."""
    command = [sys.executable, "-m", "experiment_operator", "render", "-"]  # which has no handler of its own
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while not _catches(status.read_text(), signal.SIGTERM):
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        assert process.wait(10) == 128 + signal.SIGTERM


def _catches(status: str, number: int) -> bool:
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask, 16) >> (number - 1) & 1)
