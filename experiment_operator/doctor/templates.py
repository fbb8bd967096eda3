"""The part of `doctor` that is about the phase templates: what the plan would say of Experiments that use them.

Each template is tried alone, in plans whose other templates are beyond reproach, by Experiments that set all that one
can set. So what is found is about this template, and about nothing that an Experiment's author could change.
"""

from __future__ import annotations

from experiment_operator.doctor.report import DoctorContext, Finding, Findings, fault, ok, warning
from experiments.options import Options
from experiments.plan import Plan, plan
from experiments.resources import EXPERIMENT
from experiments.snapshot import Snapshot, Subject
from kube.client import KubeClient
from kube.errors import ForbiddenError, NotFoundError, NotServedError
from kube.objects import Object, ObjectRef

_DATASETS: dict[str, Object] = {
    "dataset.s3": {"s3": {"bucket": "bucket", "key": "key.json"}},
    "dataset.url": {"url": "http://example.com/dataset.json"},
}
_ANYTHING = {key: {"default": ""} for key in ("agentUrl", "bucket", "key", "datasetUrl", "maxFailedMetrics")}


async def templates(context: DoctorContext) -> Findings:
    options = context.chosen.options
    for namespace in await namespaces(context.kube, options):
        for phase, ref in _subject(namespace, "dataset.url", options).templates.items():
            yield await _examine(context.kube, options, phase, ref)


async def namespaces(kube: KubeClient, options: Options) -> list[str]:
    """Name those in which Testkube has to read: one, or each that has an Experiment."""
    if options.generated_in:
        return [options.generated_in]
    try:
        return sorted({experiment["metadata"]["namespace"] for experiment in await kube.list(EXPERIMENT)})
    except NotServedError:
        return []


async def _examine(kube: KubeClient, options: Options, phase: str, ref: ObjectRef) -> Finding:
    name = f"template {ref.namespace}/{ref.name}"
    advice = f"kubectl apply -n {ref.namespace} -f deploy/testkube, or set {phase.upper()}_TEMPLATE to yours"
    try:
        live = await kube.get(ref)
    except NotFoundError:
        return _missing(name, phase, advice)
    except ForbiddenError:
        return warning(name, "may not be read")
    plans = {dataset: _plan(ref, live, dataset, options) for dataset in _DATASETS}
    wrong = {dataset: str(found.problems[0]) for dataset, found in plans.items() if found.problems}
    if wrong.keys() == plans.keys():
        return fault(name, next(iter(wrong.values())), advice)
    if wrong:
        return warning(name, f"does not work for {', '.join(wrong)}: {'; '.join(wrong.values())}", advice)
    unfilled = dict.fromkeys(line.partition(": ")[2] for found in plans.values() for line in found.unfilled)
    if unfilled:
        return warning(name, f"nobody sets {', '.join(unfilled)}", "give these parameters a default in the template")
    return ok(name, f"takes {', '.join(live.get('spec', {}).get('config') or {'nothing': None})}")


def _missing(name: str, phase: str, advice: str) -> Finding:
    """Find no fault where that of the gate is missing: charts of the phases have none, and few Experiments want it."""
    if phase == "gate":
        return warning(name, "does not exist; Experiments with spec.gate.enabled wait for it", advice)
    return fault(name, "does not exist", advice)


def _plan(ref: ObjectRef, live: Object, dataset: str, options: Options) -> Plan:
    subject = _subject(ref.namespace, dataset, options)
    others: Object = {"metadata": {}, "spec": {"config": _ANYTHING}}
    gateways: dict[ObjectRef, Object] = {gateway: {"metadata": {}} for gateway in subject.gateways}
    objects = dict.fromkeys(subject.templates.values(), others)
    return plan(Snapshot(subject, {**objects, ref: live, **gateways}))


def _subject(namespace: str, dataset: str, options: Options) -> Subject:
    spec = {
        "agentRef": {"name": "agent"},
        "aiGatewayRef": {"name": "gateway"},
        "llmAsAJudgeModel": "model",
        "otlpEndpoint": "http://example.com:4318",
        "dataset": _DATASETS[dataset],
        "gate": {"enabled": True},
    }
    meta = {"name": "doctor", "namespace": namespace, "uid": "none"}
    return Subject.of({"metadata": meta, "spec": spec}, options)
