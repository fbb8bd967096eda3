"""The three children as manifests, exactly as they are applied. What goes into them is resolved before (`resolve`).

Sources of what Testkube makes of these fields: its TestWorkflow and TestTrigger references, and trying it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from experiments.errors import TemplateMismatch
from experiments.experiment_json import experiment_json
from experiments.models import EnvVar, ExperimentSpec
from experiments.names import APPLIED, EXPERIMENT_ANNOTATION, MANAGED_BY, MANAGER, OBJECT_ANNOTATION, UID_LABEL
from experiments.resolve import BASE_URL_VARIABLE, CONVEYED, OTLP_VARIABLE, Judge
from experiments.resources import EXPERIMENT
from experiments.snapshot import Subject
from kube.objects import Object, ObjectRef

FILE_KEY = "experiment.json"

_ANY_CHANGE = "modified"
EVENTS = frozenset(
    {
        "created",
        _ANY_CHANGE,
        "deleted",
        "deployment-scale-update",
        "deployment-image-update",
        "deployment-env-update",
        "deployment-containers-modified",
        "deployment-generation-modified",
        "deployment-resource-modified",
    }
)
"""What Testkube can be triggered by that happens to a Deployment."""
_KEY_VARIABLE = "OPENAI_API_KEY"
# Without any key the judge's client refuses to start, although a gateway inside the cluster may ask for none.
_NO_KEY = "unused"
# Without these a phase cannot do its work, so a template that does not take them cannot be meant.
_ESSENTIAL = {"run": ("agentUrl",), "setup": ("bucket", "key", "datasetUrl"), "gate": ("maxFailedMetrics",)}
# What a parser on a value's way (Go's, JSON, YAML) may take for something other than a string: numbers of any spelling,
# times, and some words. `0012` would arrive as `12`.
_MAYBE_NOT_A_STRING = re.compile(
    r"[-+.\d][-+.:\w ]*|~|true|false|y|yes|n|no|on|off|null|nan|inf|infinity", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a TestWorkflow is made from besides the spec; `parameters` per phase, as its template declares them."""

    agent_url: str
    judge: Judge
    otlp_endpoint: str | None
    observed: bool
    """Whether telemetry has somewhere to go."""
    parameters: dict[str, dict[str, Any]]


def config_map(subject: Subject, spec: ExperimentSpec) -> Object:
    """Make the ConfigMap. Raises `ExperimentTooLarge`."""
    return _child(subject, subject.placement.config_map, {"data": {FILE_KEY: experiment_json(spec)}})


def test_workflow(subject: Subject, spec: ExperimentSpec, inputs: Inputs) -> Object:
    """Make the TestWorkflow. Raises `TemplateMismatch`."""
    body: dict[str, Any] = {}
    if spec.inline:
        source = {"name": subject.placement.config_map.name, "key": FILE_KEY}
        path = subject.options.experiment_file
        body["content"] = {"files": [{"path": path, "contentFrom": {"configMapKeyRef": source}}]}
    body["container"] = {"env": _environment(spec, inputs)}
    if spec.schedule:
        body["events"] = [{"cronjob": spec.schedule.model_dump(exclude_none=True)}]
    values = _values(subject, spec, inputs)
    body["use"] = [
        _use(ref, inputs.parameters[phase], values, _essential(phase, values))
        for phase, ref in subject.templates.items()
    ]
    return _child(subject, subject.placement.test_workflow, {"spec": body})


def test_trigger(subject: Subject, spec: ExperimentSpec) -> Object:
    if spec.trigger is None:
        raise ValueError(f"{subject.ref} asks for no trigger")
    workflow, agent = subject.placement.test_workflow, subject.agent
    event = spec.trigger.event if spec.trigger.event in EVENTS else _ANY_CHANGE
    body: dict[str, Any] = {
        "resource": "deployment",
        # A name without a namespace would match in every one.
        "resourceSelector": {"name": agent.name, "namespace": agent.namespace},
        "event": event,
        "action": "run",
        "execution": "testworkflow",
        "testSelector": {"name": workflow.name, "namespace": workflow.namespace},
        "disabled": False,
    }
    wait = spec.trigger.wait_for_rollout
    if wait.enabled and (conditions := _awaited(event)):
        body["conditionSpec"] = {"timeout": wait.timeout_seconds, "delay": 1, "conditions": conditions}
    if spec.trigger.concurrency_policy:
        body["concurrencyPolicy"] = spec.trigger.concurrency_policy.lower()
    return _child(subject, subject.placement.test_trigger, {"spec": body})


def unfilled(subject: Subject, workflow: Object, inputs: Inputs) -> list[str]:
    """List parameters that a template declares without default and nobody sets: an execution that uses one fails."""
    return [
        f"{ref.name}: {name}"
        for (phase, ref), use in zip(subject.templates.items(), workflow["spec"]["use"], strict=True)
        for name, declared in inputs.parameters[phase].items()
        if "default" not in (declared or {}) and name not in use.get("config", {})
    ]


def _values(subject: Subject, spec: ExperimentSpec, inputs: Inputs) -> dict[str, str]:
    """Give a value, where there is one, to every parameter that templates of the wild are known to take."""
    keys = (declared.get("openAiApiKey") or {} for declared in inputs.parameters.values())
    key = None if any(parameter.get("default") for parameter in keys) else _NO_KEY
    injected = {OTLP_VARIABLE: inputs.otlp_endpoint, BASE_URL_VARIABLE: inputs.judge.url, _KEY_VARIABLE: key}
    conveyed = {name: _conveyed(spec, variable, injected[variable]) for name, variable in CONVEYED.items()}
    values = {
        "agentUrl": inputs.agent_url,
        "experimentName": subject.meta.name,
        "model": spec.judge_model,
        **conveyed,
    }
    if spec.dataset and spec.dataset.s3:
        values |= {"bucket": spec.dataset.s3.bucket, "key": spec.dataset.s3.key}
    if spec.dataset and spec.dataset.url:
        values["datasetUrl"] = spec.dataset.url
    if spec.gate and spec.wants_gate:
        values["maxFailedMetrics"] = str(spec.gate.max_failed_metrics)
    return {name: _literal(value) for name, value in values.items() if value}


def _literal(value: str) -> str:
    """Write `value` so that it arrives as it is: as an expression for a string, where it could be taken for more."""
    return f'{{{{"{value}"}}}}' if _MAYBE_NOT_A_STRING.fullmatch(value) else value


def _essential(phase: str, values: dict[str, str]) -> list[str]:
    return [name for name in _ESSENTIAL.get(phase, ()) if name in values]


def _use(ref: ObjectRef, declared: dict[str, Any], values: dict[str, str], essential: list[str]) -> dict[str, Any]:
    """Make one step. Testkube ignores what a template does not declare, so only what it declares is passed."""
    if missing := [name for name in essential if name not in declared]:
        raise TemplateMismatch(
            f"{ref} does not declare the parameter {', '.join(missing)}, without which it cannot work."
        )
    config = {name: values[name] for name in sorted(declared) if name in values}
    return {"name": ref.name, **({"config": config} if config else {})}


def _environment(spec: ExperimentSpec, inputs: Inputs) -> list[dict[str, Any]]:
    """List what is injected, then the user's own, which wins."""
    # The image's `uv run` would otherwise rebuild its package at each start, which takes the internet.
    injected = {"UV_NO_SYNC": "1"}
    if inputs.otlp_endpoint:
        injected[OTLP_VARIABLE] = inputs.otlp_endpoint
    if not inputs.observed:
        # Without an endpoint the run phase would try to send each span to localhost, again and again, for minutes.
        injected["OTEL_SDK_DISABLED"] = "true"
    variables = {name: EnvVar(name=name, value=value) for name, value in injected.items()}
    own = {variable.name: variable for variable in spec.env or ()}
    first = {name: variable for name, variable in variables.items() if name not in own}
    return [v.model_dump(by_alias=True, exclude_none=True) for v in (first | own).values()]


def _conveyed(spec: ExperimentSpec, variable: str, injected: str | None) -> str | None:
    """Pass `variable` on by a template's parameter: a step's own environment beats the workflow's.

    What the user takes from a Secret or ConfigMap cannot be passed on, and must not be overruled either.
    """
    own = spec.variable(variable)
    if own is None:
        return injected
    if own.value_from is not None:
        return None
    return own.value or (_NO_KEY if variable == _KEY_VARIABLE else None)


def _awaited(event: str) -> list[dict[str, Any]]:
    """List the conditions of the Deployment for which a run waits, so that it meets the new pods and not the old.

    A trigger fires when a rollout begins. `ttl` is the greatest age in seconds of a condition: without it, Progressing
    is still true from the rollout before. Scaling does not renew Progressing, and what is deleted becomes nothing.
    """
    if event == "deleted":
        return []
    available = {"type": "Available", "status": "True"}
    if event == "deployment-scale-update":
        return [available]
    return [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "ttl": 10}, available]


def _child(subject: Subject, ref: ObjectRef, body: dict[str, Any]) -> Object:
    meta = subject.meta
    manifest: Object = {
        "apiVersion": ref.resource.api_version,
        "kind": ref.resource.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {MANAGED_BY: MANAGER, **({UID_LABEL: meta.uid} if meta.uid else {})},
            "annotations": {
                EXPERIMENT_ANNOTATION: f"{meta.namespace}/{meta.name}",
                OBJECT_ANNOTATION: f"{ref.namespace}/{ref.name}",
            },
        },
        **body,
    }
    # Elsewhere nothing owns it: the garbage collector deletes what has an owner in another namespace. An object that
    # was never applied (`render`) has no uid yet.
    if subject.placement.owned and meta.uid:
        manifest["metadata"]["ownerReferences"] = [_owner_reference(subject)]
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    manifest["metadata"]["annotations"][APPLIED] = digest
    return manifest


def _owner_reference(subject: Subject) -> dict[str, Any]:
    """Make one without `blockOwnerDeletion`, which some clusters let only those set who may update finalizers."""
    owner = {"apiVersion": EXPERIMENT.api_version, "kind": EXPERIMENT.kind, "name": subject.meta.name}
    return {**owner, "uid": subject.meta.uid, "controller": True}
