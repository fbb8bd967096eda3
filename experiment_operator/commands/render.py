"""`experiment-operator render`: what would be applied for files of Experiments, as YAML for `kubectl apply`.

Files become snapshots of a cluster that holds nothing but them, and the same `plan` as everywhere says what to do.
What it cannot ask a cluster, it assumes: a gateway exists and listens on the default port, an Agent that `--agent-url`
does not stand for is reached by its Service's name, and no object has a uid, so that children name no owner.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from experiment_operator.commands.files import STDIN, read
from experiment_operator.resources import TEMPLATES
from experiment_operator.settings import Render
from experiments import yaml as documents
from experiments.errors import ExperimentTooLarge, InvalidSchedule, Problem, TemplateMissing
from experiments.models import Metadata, parse, sentences
from experiments.plan import Plan, plan
from experiments.resolve import OTLP_VARIABLE
from experiments.resources import EXPERIMENT, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import Snapshot, Subject
from experiments.yaml import Document
from kube.objects import Object, ObjectRef, Resource

_MAX_NAMED = 20


class _TemplateSpec(BaseModel):
    # Each Experiment is compared with each parameter, and nobody declares so many.
    config: Annotated[dict[str, dict[str, Any] | None], Field(max_length=200)] | None = None


class _Template(BaseModel):
    """A TestWorkflowTemplate as far as plans read it."""

    metadata: Metadata
    spec: _TemplateSpec = _TemplateSpec()


def render(settings: Render) -> int:
    """Print all or, where anything is wrong with the files, only what, to standard error. Returns the exit code."""
    problems: list[str] = []
    templates = _by_name(_templates(settings.templates or sorted(TEMPLATES.glob("*.yaml")), problems))
    all_read = not problems
    experiments = list(_experiments(settings.files, problems))
    if not experiments and not problems:
        problems.append(f"{', '.join(map(str, settings.files))}: no Experiment in there")
    remarks: list[str] = []
    manifests: list[Object] = []
    for where, obj in experiments:
        made = plan(_snapshot(obj, templates, settings))
        found = [each for each in made.problems if all_read or not isinstance(each, TemplateMissing)]
        problems += [f"{where}, {_sentence(problem)}" for problem in found]
        remarks += [f"{where}: {remark}" for remark in _remarks(made)]
        manifests += made.manifests
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    if remarks:
        print("\n".join(remarks), file=sys.stderr)
    print(documents.write(manifests), end="")
    return 0


def _experiments(files: Iterable[Path], problems: list[str]) -> Iterator[tuple[str, Object]]:
    """Yield the valid Experiments, with where each was found."""
    found: dict[ObjectRef, str] = {}
    for document in _of(EXPERIMENT, files, problems):
        try:
            meta = parse(document.content, strict=True).metadata
        except ValidationError as error:
            problems += _lines(document, sentences(error))
            continue
        ref = ObjectRef(EXPERIMENT, meta.namespace, meta.name)
        if ref in found:
            problems.append(f"{document.where}, metadata.name: {ref} was already in {found[ref]}")
        found[ref] = document.where
        # Only what a person writes: the rest, in a file that comes from a cluster, is that cluster's state.
        metadata = {"name": meta.name, "namespace": meta.namespace}
        yield document.where, {"metadata": metadata, "spec": document.content["spec"]}


def _templates(files: Iterable[Path], problems: list[str]) -> Iterator[Object]:
    for document in _of(TEST_WORKFLOW_TEMPLATE, files, problems):
        try:
            _Template.model_validate(document.content)
        except ValidationError as error:
            problems += _lines(document, sentences(error))
        else:
            yield document.content


def _of(resource: Resource, files: Iterable[Path], problems: list[str]) -> Iterator[Document]:
    """Yield the objects of this kind in the files. Any other becomes one of `problems`."""
    for document in (each for file in files for each in read(file, "stdin" if file == STDIN else str(file), problems)):
        content = document.content
        kind = content.get("kind") if isinstance(content, dict) else None
        if kind != resource.kind:
            problems.append(f"{document.where}, kind: must be {resource.kind}{f', not {kind}' if kind else ''}")
        elif content.get("apiVersion") != resource.api_version:
            problems.append(f"{document.where}, apiVersion: must be {resource.api_version}")
        else:
            yield document


def _by_name(templates: Iterable[Object]) -> dict[tuple[str, str], tuple[int, Object]]:
    """Index them by namespace and name, with their order: of two that mean the same, the later one counts."""
    found = ((template["metadata"], number, template) for number, template in enumerate(templates))
    return {(meta.get("namespace") or "", meta["name"]): (number, template) for meta, number, template in found}


def _snapshot(
    experiment: Object, templates: Mapping[tuple[str, str], tuple[int, Object]], settings: Render
) -> Snapshot:
    """Assume a cluster. A template without a namespace is wherever Testkube reads, as with `kubectl apply -n`."""
    subject = Subject.of(experiment, settings.options)
    assumed: dict[ObjectRef, Object] = {}
    if subject.gateways:
        assumed[subject.gateways[-1]] = {}
    if settings.agent_url:
        assumed[subject.agent] = {"status": {"url": settings.agent_url}}
    if settings.otlp_endpoint:
        assumed[subject.otel_configs[0]] = {"data": {OTLP_VARIABLE: settings.otlp_endpoint}}
    for ref in (each for each in subject.dependencies if each.resource == TEST_WORKFLOW_TEMPLATE):
        here = (templates.get((namespace, ref.name)) for namespace in (ref.namespace, ""))
        if known := max((each for each in here if each), default=None, key=lambda each: each[0]):
            assumed[ref] = known[1]
    return Snapshot(subject, {ref: {"metadata": {}, **obj} for ref, obj in assumed.items()})


def _lines(document: Document, found: Iterable[str]) -> list[str]:
    return [f"{document.where}, {sentence}" for sentence in found]


def _sentence(problem: Problem) -> str:
    """Put the field in front. What is wrong with a schedule begins with it."""
    if isinstance(problem, InvalidSchedule):
        return str(problem)
    return f"{'spec' if isinstance(problem, ExperimentTooLarge) else 'templates'}: {problem}"


def _remarks(made: Plan) -> Iterator[str]:
    spec = made.snapshot.subject.spec
    if spec and spec.suspend:
        yield "spec.suspend is true: nothing is applied"
    if made.unfilled:
        names, more = ", ".join(made.unfilled[:_MAX_NAMED]), len(made.unfilled) - _MAX_NAMED
        words = f"{names} and {more} more" if more > 0 else names
        yield f"nobody sets these parameters of templates, which have no default: {words}"
    yield from map(str, made.warnings)
