"""experiment.json, the file that the phases read: the inline scenarios in the phases' own spelling (snake_case).

Testkube does not evaluate mounted files, so texts may hold anything. In dataset mode the file is a placeholder: setup
writes the real one into its own volume.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from experiments.errors import ExperimentTooLarge
from experiments.models import ExperimentSpec, Metric, Reference, Scenario, ScenarioStep, ToolCall

_CONFIG_MAP_LIMIT = 1024 * 1024


def experiment_json(spec: ExperimentSpec) -> str:
    """Return the file as text. Raises `ExperimentTooLarge`."""
    inline = spec.inline
    threshold = inline.default_threshold if inline else None
    document = _set(
        llm_as_a_judge_model=spec.judge_model,
        default_threshold=spec.default_threshold if threshold is None else threshold,
        scenarios=[_scenario(s) for s in inline.scenarios] if inline else [],
    )
    if (size := _size(document)) > _CONFIG_MAP_LIMIT:
        raise ExperimentTooLarge(
            f"experiment.json has {size:,} bytes and a ConfigMap holds {_CONFIG_MAP_LIMIT:,}; "
            "use dataset.s3 or dataset.url."
        )
    return to_json(document, indent=2).decode() + "\n"


def _size(document: dict[str, Any]) -> int:
    """Count the bytes of the file without writing it: indentation makes a hundred times as much of deep lists."""
    size = len(to_json(document)) + 1
    waiting: list[tuple[Any, int]] = [(document, 0)]
    while waiting:
        value, level = waiting.pop()
        # Each item has a line and an indentation of its own, and so has the bracket at the end; a key has a space.
        size += len(value) * (3 + 2 * level) + 1 + 2 * level + (len(value) if isinstance(value, dict) else 0)
        inner = value.values() if isinstance(value, dict) else value
        waiting += [(each, level + 1) for each in inner if each and isinstance(each, dict | list)]
    return size


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {"name": scenario.name, "steps": [_step(step) for step in scenario.steps]}


def _step(step: ScenarioStep) -> dict[str, Any]:
    return _set(
        input=step.input,
        reference=_reference(step.reference) if step.reference else None,
        custom_values=step.custom_values,
        metrics=None if step.metrics is None else [_metric(m) for m in step.metrics],
    )


def _reference(reference: Reference) -> dict[str, Any]:
    return _set(
        response=reference.response,
        tool_calls=None if reference.tool_calls is None else [_tool_call(c) for c in reference.tool_calls],
        topics=reference.topics,
        retrieved_contexts=reference.retrieved_contexts,
    )


def _tool_call(call: ToolCall) -> dict[str, Any]:
    # The phases refuse the whole file where a tool call has no arguments at all.
    return {"name": call.name, "args": call.args or {}}


def _metric(metric: Metric) -> dict[str, Any]:
    return _set(metric_name=metric.metric_name, threshold=metric.threshold, parameters=metric.parameters)


def _set(**fields: Any) -> dict[str, Any]:
    """Keep the fields that are set. Free-form values keep every key inside them as written, nulls included."""
    return {name: value for name, value in fields.items() if value is not None}
