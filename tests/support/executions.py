"""Executions of what is generated for an Experiment, as Testkube would run them: with the very command lines.

A directory stands for `/` of the pod, a proxy for the cluster's network, and a script for the image's `uv`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support import steps
from support.clusters import ROOT, TEMPLATES
from support.network import Network
from support.standins import Agent, Answer, Judge

# As the image's uv without an internet: it looks whether its package has changed, unless it is told not to.
_UV = """#!/bin/sh
[ -n "$UV_NO_SYNC" ] || {{ echo "uv cannot reach the package index" >&2; exit 2; }}
[ "$1 $2" = "run python3" ] || {{ echo "uv is not asked to: $*" >&2; exit 2; }}
shift 2
exec {python} "$@"
"""
_S3 = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""

ANSWERS = {
    "Do I need an umbrella in Bergen today?": Answer(
        "Yes, there will be rain.", "get_weather", {"city": "Bergen", "day": "today"}, {"forecast": "rain"}
    ),
    "How cold does it get tonight in Hintertupfing?": Answer("I have no forecast for Hintertupfing."),
    "What will the weather be in Porto on Saturday?": Answer(
        "Sunny, 22 degrees.", "get_weather", {"city": "Porto", "day": "saturday"}, {"forecast": "sun"}
    ),
    "And the day after?": Answer(
        "Cloudy, 20 degrees.", "get_weather", {"city": "Porto", "day": "sunday"}, {"forecast": "clouds"}
    ),
    "Is there wind on Saturday?": Answer(
        "About four Beaufort.", "get_wind", {"place": "Kiel", "hours": [10, 12.5]}, {"beaufort": 4}
    ),
    "And on Sunday?": Answer("Less of it."),
}


@dataclass(frozen=True)
class Finished:
    """How a step ended."""

    code: int
    output: str


class Run:
    """What has become of an execution: its steps up to the first that failed, and the files that they left."""

    def __init__(self, root: Path, announced: list[steps.Step]) -> None:
        self.root, self.announced = root, announced
        self.finished: dict[str, Finished] = {}

    @property
    def codes(self) -> dict[str, int]:
        """The exit code of each step that was run."""
        return {name: finished.code for name, finished in self.finished.items()}

    @property
    def output(self) -> str:
        return "\n".join(f"--- {name}\n{finished.output}" for name, finished in self.finished.items())

    @property
    def passed(self) -> bool:
        """Whether every step ended well, and has left its artifacts."""
        artifacts = [self.root / path for step in self.announced for path in step.artifacts]
        return self.codes == {step.name: 0 for step in self.announced} and all(path.is_file() for path in artifacts)

    @property
    def evaluated(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "data/experiments/evaluated_experiment.json").read_text())
        return found

    @property
    def evaluations(self) -> list[tuple[str, str, float | None]]:
        """Metric, result and score of all that was judged, in order."""
        return [
            (each["metric"]["metric_name"], each["result"]["result"], each["result"].get("score"))
            for scenario in self.evaluated["scenarios"]
            for step in scenario["steps"]
            for each in step.get("evaluations", ())
        ]

    @property
    def report(self) -> str:
        return (self.root / "data/results/evaluation_report.html").read_text()


class Testkube:
    """`run(experiment)` has it rendered, resolved and executed. `network` is what its steps meet."""

    def __init__(self, directory: Path, python: Path, network: Network) -> None:
        self.network, self._directory = network, directory
        self.network.services |= {"weather-agent": Agent(ANSWERS), "sailing-agent": Agent(ANSWERS)}
        self.network.services |= {"ai-gateway": Judge(), "gateway": Judge()}
        self._tools = directory / "tools"
        self._tools.mkdir()
        uv = self._tools / "uv"
        uv.write_text(_UV.format(python=python))
        uv.chmod(0o755)

    def run(
        self,
        experiment: Mapping[str, Any],
        *,
        templates: Path | None = None,
        endpoint: str = "",
        values: Mapping[str, Mapping[str, str]] | None = None,
        until: str = "",
        without: str = "",
    ) -> Run:
        """`endpoint` is that of ConfigMap otel-config; other ConfigMaps and Secrets are in `values`.

        The variable `without` is withheld from every step.
        """
        values = {"otel-config": {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}, **(values or {})}
        workflow, files = _rendered(experiment, templates, endpoint)
        root = self._directory / "root"
        root.mkdir()
        for path, text in files.items():
            file = root / path.removeprefix("/")
            file.parent.mkdir(parents=True)
            file.write_text(text)
        run = Run(root, steps.resolve(workflow, _templates(templates), steps.Execution(values=values)))
        for step in run.announced:
            run.finished[step.name] = self._finish(step, root, without)
            if run.finished[step.name].code or step.name == until:
                break
        return run

    def _finish(self, step: steps.Step, root: Path, without: str) -> Finished:
        machine = {"PATH": f"{self._tools}:/usr/bin:/bin", "HOME": str(self._directory), **self.network.environment}
        environment = {name: value for name, value in step.environment.items() if name != without}
        done = subprocess.run(
            step.command,
            cwd=root,
            env={**machine, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Finished(done.returncode, done.stdout)


def _rendered(
    experiment: Mapping[str, Any], templates: Path | None, endpoint: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """The TestWorkflow, and the files that it mounts by their paths. It lies beside its Experiment and otel-config."""
    command = [sys.executable, "-m", "experiment_operator", "render", "-", "--testkube-namespace", "."]
    command += ["--templates", str(templates)] if templates else []
    command += ["--otlp-endpoint", endpoint] if endpoint else []
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    text = yaml.safe_dump(experiment)
    done = subprocess.run(command, cwd=ROOT, env=environment, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    objects = {(obj["kind"], obj["metadata"]["name"]): obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader)}
    (workflow,) = (obj for (kind, _), obj in objects.items() if kind == "TestWorkflow")
    mounted = workflow["spec"].get("content", {}).get("files", ())
    sources = {file["path"]: file["contentFrom"]["configMapKeyRef"] for file in mounted}
    texts = {path: objects["ConfigMap", source["name"]]["data"][source["key"]] for path, source in sources.items()}
    return workflow, texts


def _templates(file: Path | None) -> dict[str, dict[str, Any]]:
    files = [file] if file else sorted(TEMPLATES.glob("*.yaml"))
    found = [each for path in files for each in yaml.safe_load_all(path.read_text())]
    return {each["metadata"]["name"]: each for each in found}


@contextmanager
def s3_server(python: Path) -> Iterator[str]:
    command: list[str | Path] = [python, "-c", _S3]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as s3:
        assert s3.stdout is not None
        yield f"http://127.0.0.1:{s3.stdout.readline().strip()}"
        s3.communicate()
