"""What a TestWorkflow's phases make of its experiment.json: files, and whether they fail.

Which phases there are, the templates in the cluster say; what one does goes by its name, as in `deploy/testkube`. One
that is not known here does nothing, and passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kube.objects import Object
from localcluster.testkube import scores
from localcluster.testkube.executions import Json, Phase

DATASET = "data/datasets/experiment.json"
_EXECUTED = "data/experiments/executed_experiment.json"
_EVALUATED = "data/experiments/evaluated_experiment.json"
_REPORT = "data/results/evaluation_report.html"


class PhaseError(Exception):
    """A phase failed; the message is in the log."""


@dataclass
class Pod:
    """What an execution has at hand: its id, the workflow's parameters, files, and who answers.

    `image_at` tells the image of the agent at a URL, None where none answers.
    """

    execution: str
    parameters: Mapping[str, str]
    image_at: Callable[[str], str | None]
    files: dict[str, bytes] = field(default_factory=dict)
    image: str | None = None

    def read(self, path: str) -> Json:
        """Read a file of an earlier phase. Raises PhaseError."""
        try:
            content = json.loads(self.files[path])
        except KeyError:
            raise PhaseError(f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'") from None
        except ValueError as error:
            raise PhaseError(f"{path}: {error}") from None
        if not isinstance(content, dict):
            raise PhaseError(f"{path}: no object")
        return content

    def write(self, path: str, content: Json) -> None:
        """Write a file for later phases."""
        self.files[path] = scores.as_file(content)


def phases_of(workflow: Json, templates: Mapping[str, Object]) -> list[Phase]:
    """List the phases of a TestWorkflow: those of its templates, then its own steps."""
    steps = [
        step for use in workflow["spec"].get("use") or () for step in templates[use["name"]]["spec"].get("steps") or ()
    ]
    return [_phase(number, step) for number, step in enumerate((*steps, *(workflow["spec"].get("steps") or ())), 1)]


def parameters_of(workflow: Json, templates: Mapping[str, Object]) -> dict[str, str]:
    """Return what all templates are told, and their defaults for the rest."""
    told: dict[str, str] = {}
    for use in workflow["spec"].get("use") or ():
        declared: Json = templates[use["name"]]["spec"].get("config") or {}
        defaults = {name: each["default"] for name, each in declared.items() if "default" in each}
        told |= {name: str(value) for name, value in (defaults | (use.get("config") or {})).items()}
    return told


def config_maps_of(workflow: Json) -> Iterator[tuple[str, str, str]]:
    """Yield the path of each file that comes from a ConfigMap, with the ConfigMap's name and key."""
    for file in (workflow["spec"].get("content") or {}).get("files") or ():
        if reference := (file.get("contentFrom") or {}).get("configMapKeyRef"):
            yield file["path"].lstrip("/"), reference["name"], reference["key"]


def work(phase: Phase, pod: Pod) -> None:
    """Do what a phase does with the pod's files. Raises PhaseError."""
    if does := _PHASES.get(phase.name):
        does(pod)


def deployment_of(url: str) -> tuple[str, str] | None:
    """Return namespace and name of the Deployment behind a Service's URL; None for one outside of the cluster."""
    name, *rest = (urlsplit(url).hostname or "").split(".")
    return (rest[0], name) if rest[1:2] in ([], ["svc"]) and rest else None


def _phase(number: int, step: Object) -> Phase:
    run: Any = step.get("run") or {}
    uploads = (step.get("artifacts") or {}).get("paths") or ()
    return Phase(step.get("name") or f"step-{number}", tuple(uploads), shell="shell" in run or "shell" in step)


def _setup(pod: Pod) -> None:
    """Stand for a dataset, which is not fetched: one scenario, of its address."""
    where = pod.parameters.get("datasetUrl") or f"{pod.parameters.get('bucket')}/{pod.parameters.get('key')}"
    metrics = [{"metric_name": name} for name in ("FactualCorrectness", "AgentGoalAccuracyWithoutReference")]
    step = {"input": f"(Simulated: the dataset {where} was not fetched.)", "metrics": metrics}
    pod.write(DATASET, {"scenarios": [{"name": "Simulated dataset", "steps": [step]}]})


def _run(pod: Pod) -> None:
    experiment = pod.read(DATASET)
    pod.image = pod.image_at(pod.parameters.get("agentUrl", ""))
    pod.write(_EXECUTED, scores.executed(experiment, pod.parameters.get("experimentName", ""), pod.image))


def _evaluate(pod: Pod) -> None:
    pod.write(_EVALUATED, scores.evaluated(pod.read(_EXECUTED), pod.image))


def _visualize(pod: Pod) -> None:
    page = scores.report(pod.read(_EVALUATED), pod.parameters.get("experimentName", ""), pod.execution)
    pod.files[_REPORT] = page.encode()


def _gate(pod: Pod) -> None:
    """Hold an execution with more misses than may be. The number may be written as an expression, `{{"1"}}`."""
    number = re.search(r"\d+", pod.parameters.get("maxFailedMetrics", ""))
    allowed, missed = int(number[0]) if number else 0, scores.misses(pod.read(_EVALUATED))
    if len(missed) > allowed:
        raise PhaseError(f"{len(missed)} metrics failed, {allowed} may: {', '.join(missed)}")


_PHASES = {"setup": _setup, "run": _run, "evaluate": _evaluate, "visualize": _visualize, "gate": _gate}
