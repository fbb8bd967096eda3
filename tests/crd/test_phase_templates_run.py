"""The phase templates hand their parameters to the phases, and leave the environment alone where they have none.

Their steps are run as Testkube would: expressions replaced, then the script by a shell. `uv` is a stand-in that notes
how it was called.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

TEMPLATES = Path(__file__).parents[2] / "deploy/testkube"
# Without a default, so every workflow has to pass them; the service always does.
ALWAYS_PASSED = {"agentUrl": "http://agent:8000", "experimentName": "weather"}
UV = f"""#!{sys.executable}
import json, os, sys
json.dump({{"args": sys.argv[1:], "env": dict(os.environ)}}, open("called.json", "w"))
"""

Called: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[..., Called]


def template(phase: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((TEMPLATES / f"{phase}-template.yaml").read_text())["spec"]
    return spec


def resolve(text: str, values: dict[str, str]) -> str:
    return re.sub(r"{{ ([\w.]+) }}", lambda expression: values[expression[1]], text)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(phase, parameters, environment)`: how the phase's program was called."""
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)

    def run_phase(phase: str, parameters: dict[str, str], environment: dict[str, str] | None = None) -> Called:
        spec = template(phase)
        config = {name: declared.get("default") for name, declared in spec["config"].items()} | parameters
        values = {f"config.{name}": value for name, value in config.items() if value is not None}
        values |= {"execution.id": "6740", "execution.number": "3"}
        step = spec["steps"][0]["run"]
        own = {variable["name"]: resolve(variable["value"], values) for variable in step.get("env", ())}
        command = ["sh", "-ec", resolve(step["shell"], values)] if "shell" in step else None
        subprocess.run(
            command or ["uv", "run", "python3", *(resolve(argument, values) for argument in step["args"])],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", **(environment or {}), **own},
            check=True,
        )
        called: Called = json.loads((tmp_path / "called.json").read_text())
        return called

    return run_phase


def test_setup_fetches_from_s3(run: Run) -> None:
    called = run("setup", {"bucket": "datasets", "key": "a b/$(date).json"})
    assert called["args"] == ["run", "python3", "setup.py", "datasets", "a b/$(date).json"]


def test_setup_fetches_from_a_url(run: Run) -> None:
    called = run("setup", {"datasetUrl": "https://data/a.json?b=$c&d='e'"})
    assert called["args"][-2:] == ["https://data/a.json?b=$c&d='e'", "data/datasets/experiment.json"]


@pytest.mark.parametrize(
    ("phase", "arguments"),
    [
        ("run", ["run.py", "http://agent:8000", "weather"]),
        ("evaluate", ["evaluate.py"]),
        ("publish", ["publish.py", "weather", "6740", "3"]),
        ("visualize", ["visualize.py", "weather", "6740", "3"]),
    ],
)
def test_each_phase_is_called_with_its_arguments(run: Run, phase: str, arguments: list[str]) -> None:
    assert run(phase, ALWAYS_PASSED)["args"] == ["run", "python3", *arguments]


@pytest.mark.parametrize("phase", ["run", "publish"])
def test_the_otlp_endpoint_is_the_parameter_else_the_workflows_own_else_none(run: Run, phase: str) -> None:
    endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
    passed = {**ALWAYS_PASSED, "otelExporterOtlpEndpoint": "http://passed:4318"}
    own = {endpoint: "http://own:4318"}
    assert run(phase, passed, own)["env"][endpoint] == "http://passed:4318"
    assert run(phase, ALWAYS_PASSED, own)["env"][endpoint] == "http://own:4318"
    assert endpoint not in run(phase, ALWAYS_PASSED)["env"]


def test_the_judge_is_the_parameters_else_the_workflows_own(run: Run) -> None:
    passed = {"openAiBasePath": "http://gateway:80", "openAiApiKey": "passed", "model": "gpt-4o"}
    own = {"OPENAI_BASE_URL": "http://own", "OPENAI_API_KEY": "own"}
    called = run("evaluate", passed, own)
    assert called["args"][2:] == ["evaluate.py", "--model", "gpt-4o"]
    assert called["env"]["OPENAI_BASE_URL"] == "http://gateway:80"
    assert called["env"]["OPENAI_API_KEY"] == "passed"
    assert own.items() <= run("evaluate", {}, own)["env"].items()
    assert "OPENAI_BASE_URL" not in run("evaluate", {})["env"]


@pytest.mark.parametrize("phase", ["setup", "run", "evaluate", "publish", "visualize"])
def test_only_what_is_always_passed_has_no_default(phase: str) -> None:
    config = template(phase)["config"]
    assert {name for name, declared in config.items() if "default" not in declared} <= {*ALWAYS_PASSED}
    assert all(declared["type"] == "string" and declared["description"] for declared in config.values())


def test_the_shared_volume_is_declared_once_and_holds_what_the_phases_exchange() -> None:
    """Testkube joins the pods of all templates of a workflow, and a pod with one volume twice is refused."""
    phases = ["setup", "run", "evaluate", "publish", "visualize"]
    assert [phase for phase in phases if "pod" in template(phase) or "container" in template(phase)] == ["run"]
    (mount,) = template("run")["container"]["volumeMounts"]
    assert [volume["name"] for volume in template("run")["pod"]["volumes"]] == [mount["name"]]
    for phase in phases:
        step = template(phase)["steps"][0]
        for path in step.get("artifacts", {}).get("paths", ()):
            assert f"{step['workingDir']}/{path}".startswith(f"{mount['mountPath']}/")
