"""The phase templates hand their parameters to the phases, and leave the environment alone where they have none.

Their steps are run as Testkube would: expressions replaced, then the script by a shell. `uv` is a stand-in that notes
how it was called; what the phases themselves make of it is seen in tests/phases.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from support import steps

ROOT = Path(__file__).parents[2]
PHASES = ("setup", "run", "evaluate", "publish", "visualize", "gate")
# Without a default, so every workflow has to pass them; the service always does.
ALWAYS_PASSED = {"agentUrl": "http://agent:8000", "experimentName": "weather"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
UV = f"""#!{sys.executable}
import json, os, sys
json.dump({{"args": sys.argv[1:], "env": dict(os.environ)}}, open("called.json", "w"))
"""

Called: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[..., Called]


def template(phase: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / f"deploy/testkube/{phase}-template.yaml").read_text())
    return read


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(phase, parameters, environment)`: how the phase's program was called."""
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)

    def run_phase(phase: str, parameters: dict[str, str], environment: dict[str, str] | None = None) -> Called:
        env = [{"name": name, "value": value} for name, value in (environment or {}).items()]
        workflow = {"spec": {"container": {"env": env}, "use": [{"name": phase, "config": parameters}]}}
        (step,) = steps.resolve(workflow, {phase: template(phase)}, steps.Execution("6740", 3))
        machine = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        subprocess.run(step.command, cwd=tmp_path, env={**machine, **step.environment}, check=True)
        called: Called = json.loads((tmp_path / "called.json").read_text())
        return called

    return run_phase


def test_setup_fetches_from_s3(run: Run) -> None:
    called = run("setup", {"bucket": "datasets", "key": "a b/$(date).json"})
    assert called["args"] == ["run", "python3", "-m", "testbench.setup", "datasets", "a b/$(date).json"]


def test_setup_fetches_from_a_url(run: Run) -> None:
    called = run("setup", {"datasetUrl": "https://data/a.json?b=$c&d='e'"})
    assert called["args"][-2:] == ["https://data/a.json?b=$c&d='e'", "data/datasets/experiment.json"]


@pytest.mark.parametrize(
    ("phase", "arguments"),
    [
        ("run", ["http://agent:8000", "weather"]),
        ("evaluate", []),
        ("publish", ["weather", "6740", "3"]),
        ("visualize", ["weather", "6740", "3"]),
    ],
)
def test_each_phase_is_called_with_its_arguments(run: Run, phase: str, arguments: list[str]) -> None:
    assert run(phase, ALWAYS_PASSED)["args"] == ["run", "python3", "-m", f"testbench.{phase}", *arguments]


@pytest.mark.parametrize("phase", ["run", "publish"])
def test_the_otlp_endpoint_is_the_parameter_else_the_workflows_own_else_none(run: Run, phase: str) -> None:
    passed = {**ALWAYS_PASSED, "otelExporterOtlpEndpoint": "http://passed:4318"}
    own = {ENDPOINT: "http://own:4318"}
    assert run(phase, passed, own)["env"][ENDPOINT] == "http://passed:4318"
    assert run(phase, ALWAYS_PASSED, own)["env"][ENDPOINT] == "http://own:4318"
    assert ENDPOINT not in run(phase, ALWAYS_PASSED)["env"]


def test_an_empty_otlp_endpoint_is_none(run: Run) -> None:
    assert ENDPOINT not in run("publish", ALWAYS_PASSED, {ENDPOINT: ""})["env"]
    assert run("run", ALWAYS_PASSED, {ENDPOINT: ""})["env"]["OTEL_SDK_DISABLED"] == "true"


@pytest.mark.parametrize("variable", [ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_traces_are_turned_off_only_where_they_have_no_endpoint(run: Run, variable: str) -> None:
    assert run("run", ALWAYS_PASSED)["env"]["OTEL_SDK_DISABLED"] == "true"
    assert "OTEL_SDK_DISABLED" not in run("run", ALWAYS_PASSED, {variable: "http://own:4318"})["env"]


@pytest.mark.parametrize("own", ["false", ""])
def test_traces_are_not_turned_off_where_the_workflow_says_so_itself(run: Run, own: str) -> None:
    assert run("run", ALWAYS_PASSED, {"OTEL_SDK_DISABLED": own})["env"]["OTEL_SDK_DISABLED"] == own


def test_the_judges_model_and_address_are_the_parameters_else_the_workflows_own(run: Run) -> None:
    passed = {"openAiBasePath": "http://gateway:80", "model": "gpt-4o"}
    own = {"OPENAI_BASE_URL": "http://own"}
    called = run("evaluate", passed, own)
    assert called["args"][2:] == ["-m", "testbench.evaluate", "--model", "gpt-4o"]
    assert called["env"]["OPENAI_BASE_URL"] == "http://gateway:80"
    assert run("evaluate", {}, own)["env"]["OPENAI_BASE_URL"] == "http://own"
    assert "OPENAI_BASE_URL" not in run("evaluate", {})["env"]


def test_an_empty_address_of_the_judge_is_none(run: Run) -> None:
    """The client would take it for an address, and every metric would be an error."""
    assert "OPENAI_BASE_URL" not in run("evaluate", {}, {"OPENAI_BASE_URL": ""})["env"]


@pytest.mark.parametrize(
    ("own", "passed", "expected"),
    [
        ("own", "passed", "own"),
        ("own", "", "own"),
        ("", "passed", "passed"),
        (None, "passed", "passed"),
        (None, "", "unused"),
    ],
)
def test_the_judges_key_is_the_workflows_own_else_the_parameter_else_a_placeholder(
    run: Run, own: str | None, passed: str, expected: str
) -> None:
    """The parameter may be a placeholder, which must not beat a key that comes from a Secret."""
    environment = {} if own is None else {"OPENAI_API_KEY": own}
    parameters = {"openAiApiKey": passed} if passed else {}
    assert run("evaluate", parameters, environment)["env"]["OPENAI_API_KEY"] == expected


@pytest.mark.parametrize("phase", PHASES)
def test_only_what_is_always_passed_has_no_default(phase: str) -> None:
    config = template(phase)["spec"]["config"]
    assert {name for name, declared in config.items() if "default" not in declared} <= {*ALWAYS_PASSED}
    assert all(declared["type"] == "string" and declared["description"] for declared in config.values())


@pytest.mark.parametrize("phase", PHASES)
def test_nothing_is_said_about_the_pod(phase: str) -> None:
    """Testkube mounts what the steps share by itself, and the phases want the image's own working directory."""
    spec = template(phase)["spec"]
    assert set(spec) == {"config", "steps"}
    assert all(set(step) <= {"name", "run", "artifacts"} for step in spec["steps"])


def test_all_use_the_image_of_the_phases_that_they_are_tested_with() -> None:
    (version,) = (
        line.partition("==")[2].split()[0]
        for line in (ROOT / "requirements-phases.lock").read_text().splitlines()
        if line.startswith("agentic-layer-testbench==")
    )
    images = {step["run"]["image"] for phase in PHASES for step in template(phase)["spec"]["steps"]}
    (image,) = images
    name, _, tag = image.rpartition(":")
    kustomized = yaml.safe_load((ROOT / "deploy/testkube/Kustomization").read_text())["images"]
    assert tag == version
    assert kustomized == [{"name": name, "newTag": tag}]
