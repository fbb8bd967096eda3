"""What does not keep an Experiment from being Ready and will surprise its author all the same.

Said when it is applied, in the plan and in the status. Each is a fact about Testkube, or about the phases as they are
published (agentic-layer-testbench 0.10.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from experiments import resolve
from experiments.errors import Problem
from experiments.manifests import EVENTS
from experiments.models import EnvVar, ExperimentSpec, Metric
from experiments.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class FieldFinding:
    """`path` is written as kubectl writes it, like `spec.scenarios[0].name`."""

    path: str
    sentence: str
    fault: str = ""
    """Tells that it is the same one as before, where its sentence may have changed."""

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}"


def workflow_warnings(snapshot: Snapshot, spec: ExperimentSpec) -> Iterator[FieldFinding]:
    """Yield what an execution of the TestWorkflow will stumble over."""
    if spec.dataset and spec.dataset.s3 and not spec.dataset.s3.key.lower().endswith(".json"):
        yield FieldFinding("spec.dataset.s3.key", "the setup phase fetches no key that does not end in .json.")
    if not (spec.judge_model or resolve.template_default(snapshot, "model")) and (judged := list(metrics(spec))):
        names = ", ".join(dict.fromkeys(metric.metric_name for metric in judged))
        words = f"no model is named, without which the evaluate phase lets every metric fail: {names}."
        yield FieldFinding("spec.llmAsAJudgeModel", words)
    if deaf := _without_judge(snapshot, spec):
        said = "neither an AiGateway nor OPENAI_BASE_URL says where the judge is"
        words = f"{said}, and {', '.join(deaf)} has no address of its own: every metric fails."
        yield FieldFinding("spec.aiGatewayRef", words)
    for i, variable in enumerate(spec.env or ()):
        if lost := _lost(snapshot, variable):
            yield FieldFinding(f"spec.env[{i}]", lost)
    if spec.deletion_policy == "Orphan" and spec.inline:
        words = (
            "with Orphan, an execution whose pod has not started when the Experiment is deleted waits for its "
            "ConfigMap for ever."
        )
        yield FieldFinding("spec.deletionPolicy", words)


def trigger_warnings(snapshot: Snapshot, spec: ExperimentSpec) -> Iterator[FieldFinding]:
    """Yield what the TestTrigger does that its author may not expect."""
    if spec.trigger is None or not spec.wants_trigger:
        return
    if (event := spec.trigger.event) not in EVENTS:
        words = (
            f"Testkube has no such event of a Deployment: {event} is taken for modified, as upstream takes every event."
        )
        yield FieldFinding("spec.trigger.event", words)
    if spec.forbids_concurrency and snapshot.rivals:
        words = (
            f"with Forbid, an event during a run does not reach the other triggers of the agent's Deployment: "
            f"{snapshot.rivals[0]} is one."
        )
        yield FieldFinding("spec.trigger.concurrencyPolicy", words)


def metrics(spec: ExperimentSpec) -> Iterator[Metric]:
    """Yield the metrics of an inline Experiment, in order."""
    steps = (step for scenario in (spec.inline.scenarios if spec.inline else ()) for step in scenario.steps)
    return (metric for step in steps for metric in step.metrics or ())


def _without_judge(snapshot: Snapshot, spec: ExperimentSpec) -> list[str]:
    """Name templates in which the judge's address is set, and empty, so that not even the client's default holds."""
    if spec.inline and not any(metrics(spec)):
        return []
    if own := spec.variable(resolve.BASE_URL_VARIABLE):
        known = bool(own.value or own.value_from)
    else:
        try:
            known = resolve.judge(snapshot).url is not None
        except Problem:  # is reported as what is in the way
            return []
    return [] if known else resolve.blank_setters(snapshot, resolve.BASE_URL_VARIABLE)


def _lost(snapshot: Snapshot, variable: EnvVar) -> str | None:
    """Say why a variable does not arrive as it is meant, or None where it does.

    What a template's step sets itself beats the workflow's, even when it is empty. Only what a parameter conveys
    arrives.
    """
    if variable.name == resolve.OTLP_VARIABLE and not variable.value and variable.value_from is None:
        return f"an empty {variable.name} lets upstream's publish phase fail: leave it out."
    conveyors = resolve.conveyors(variable.name) if variable.value_from is None else set()
    setters = resolve.template_setters(snapshot, variable.name).items()
    if not (deaf := [name for name, parameters in setters if not parameters & conveyors]):
        return None
    why = "takes it from no Secret or ConfigMap" if variable.value_from else "has no parameter for it"
    return f"{variable.name} does not arrive in {', '.join(deaf)}, which sets it itself and {why}."
