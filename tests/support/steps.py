"""Resolves a TestWorkflow into its steps, as Testkube does: the command of each, and its environment.

Only what is generated here and what phase templates use is understood: templates by `use` with `config`, environment of
the workflow and of a step, `shell`, and `args` for an image that starts `uv run python3`. All else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ENTRYPOINT = ("uv", "run", "python3")
_EXPRESSION = re.compile(r'{{\s*(?:"([^"]*)"|([\w.]+))\s*}}')


@dataclass(frozen=True)
class Step:
    """`artifacts` are paths below the working directory, which is `/`."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    artifacts: tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """What a run brings along: who it is, and the Secrets and ConfigMaps of Testkube's namespace by name and key."""

    id: str = "6740a1b2c3d4e5f607182930"
    number: int = 3
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def resolve(
    workflow: Mapping[str, Any], templates: Mapping[str, Mapping[str, Any]], execution: Execution
) -> list[Step]:
    """Return the steps that the templates give, by whose names `templates` is. Raises KeyError for an unknown name."""
    shared = _environment(workflow["spec"].get("container", {}).get("env", ()), _known(execution), execution)
    return [
        step
        for use in workflow["spec"]["use"]
        for step in _template_steps(templates[use["name"]]["spec"], use.get("config", {}), shared, execution)
    ]


def evaluate(text: str, known: Mapping[str, str]) -> str:
    """Replace expressions: a quoted text by itself, and a name by its value."""
    return _EXPRESSION.sub(lambda found: known[found[2]] if found[2] else found[1], text)


def _template_steps(
    template: Mapping[str, Any], config: Mapping[str, str], shared: dict[str, str], execution: Execution
) -> list[Step]:
    declared: Mapping[str, Mapping[str, Any]] = template.get("config", {})
    passed = {name: value for name, value in config.items() if name in declared}
    values = {name: parameter["default"] for name, parameter in declared.items() if "default" in parameter} | passed
    outside = _known(execution)
    known = outside | {f"config.{name}": evaluate(value, outside) for name, value in values.items()}
    return [_step(step, known, shared, execution) for step in template["steps"]]


def _step(step: Mapping[str, Any], known: Mapping[str, str], shared: dict[str, str], execution: Execution) -> Step:
    run = dict(step["run"])
    environment = shared | _environment(run.pop("env", ()), known, execution)
    image = run.pop("image")
    if "shell" in run:
        command: tuple[str, ...] = ("sh", "-c", f"set -e\n{evaluate(run.pop('shell'), known)}")
    else:
        command = (*_ENTRYPOINT, *(evaluate(argument, known) for argument in run.pop("args")))
    others = {*run, *step} - {"name", "run", "artifacts"}
    assert not others, f"step {step['name']} has {', '.join(sorted(others))}, which is not understood here"
    return Step(step["name"], image, command, environment, tuple(step.get("artifacts", {}).get("paths", ())))


def _environment(variables: Any, known: Mapping[str, str], execution: Execution) -> dict[str, str]:
    """A later variable of the same name wins. One from a Secret or ConfigMap that does not exist is not set."""
    found: dict[str, str] = {}
    for variable in variables:
        source = variable.get("valueFrom", {})
        if reference := source.get("secretKeyRef") or source.get("configMapKeyRef"):
            values = execution.values.get(reference["name"], {})
            if reference["key"] in values:
                found[variable["name"]] = values[reference["key"]]
        else:
            found[variable["name"]] = evaluate(variable.get("value", ""), known)
    return found


def _known(execution: Execution) -> dict[str, str]:
    return {"execution.id": execution.id, "execution.number": str(execution.number)}
