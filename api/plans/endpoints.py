"""`GET …/plan` and `…/manifests`, and `POST /plan`: what a reconciliation would do, now or after an apply.

It is the watcher's and the worker's own plan, from this process's caches; nothing is written. The POST takes an
Experiment as `kubectl apply` would, and says what admission would say as well. Only the caches are asked on the event
loop: reading, validating and planning an Experiment of the largest size takes a second.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import ValidationError

from api.auth.dependencies import MayGet, TheCaller
from api.dependencies import State, read_subject, require_filled
from api.http.path import Name, Namespace
from api.http.problems import InvalidRequest, NotGenerated, documented
from api.plans.schemas import FieldChange, FieldMessage, PlannedChange, PlanProblem, PlanVerb, PlanView
from experiments import yaml as documents
from experiments.admission import Review, review
from experiments.drift import differences
from experiments.models import LABEL, Metadata, parse, sentences
from experiments.options import NeighbourCheck, Options
from experiments.plan import REPLACE, Action, Plan, Step, plan
from experiments.reasons import reasons
from experiments.resources import EXPERIMENT
from experiments.snapshot import Snapshot, Subject
from kube.objects import Object, ObjectRef

router = APIRouter(prefix="/api/v1", tags=["Plans"])

_YAML = "application/yaml"
_EXAMPLE = {
    "apiVersion": EXPERIMENT.api_version,
    "kind": EXPERIMENT.kind,
    "metadata": {"namespace": "default", "name": "weather"},
    "spec": {
        "agentRef": {"name": "weather-agent"},
        "scenarios": [{"name": "Umbrella", "steps": [{"input": "Do I need an umbrella in Bergen today?"}]}],
    },
}
# The spec may be anything: what is wrong with it is said in the answer.
_SCHEMA = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata"],
    "properties": {
        "apiVersion": {"const": EXPERIMENT.api_version},
        "kind": {"const": EXPERIMENT.kind},
        "metadata": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "maxLength": 253, "pattern": rf"^{LABEL}([.]{LABEL})*$"},
                "namespace": {"type": "string", "maxLength": 63, "pattern": f"^{LABEL}$", "default": "default"},
            },
        },
        "spec": {"description": "As in the CustomResourceDefinition."},
    },
}
_BODY = {
    "required": True,
    "content": {media: {"schema": _SCHEMA, "example": _EXAMPLE} for media in ("application/json", _YAML)},
}


@router.get(
    "/namespaces/{namespace}/experiments/{name}/plan",
    summary="Show what a reconciliation would change now",
    response_model=PlanView,
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def get_plan(namespace: Namespace, name: Name, state: State) -> Response:
    snapshot = Snapshot.take(await read_subject(state, namespace, name), state.caches)
    return await state.beside(_answer, snapshot, state.neighbour_check)


@router.get(
    "/namespaces/{namespace}/experiments/{name}/manifests",
    summary="Show the objects that are generated for an Experiment",
    description="A Kubernetes List, or with `Accept: application/yaml` as many documents; kubectl takes both.",
    dependencies=[MayGet],
    response_class=Response,
    responses={
        200: {
            "description": "ConfigMap, TestWorkflow and, where it is wanted, TestTrigger.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                _YAML: {"schema": {"description": "Of each document."}},
            },
        },
        **documented(401, 403, 404, 409, 422, 503),
    },
)
async def get_manifests(
    namespace: Namespace,
    name: Name,
    state: State,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    subject = await read_subject(state, namespace, name)
    return await state.beside(_manifests, Snapshot.take(subject.unsuspended(), state.caches), as_yaml=_YAML in accept)


@router.post(
    "/plan",
    summary="Show what applying an Experiment would change, and everything that would be wrong with it",
    description="The body is one Experiment, YAML or JSON. Needs the permission to update it, or to create a new one.",
    response_model=PlanView,
    responses=documented(401, 403, 413, 422, 503),
    openapi_extra={"requestBody": _BODY},
)
async def plan_for(request: Request, state: State, caller: TheCaller) -> Response:
    require_filled(state.caches)
    posted, meta = await state.beside(_posted, await request.body())
    live = state.caches.get(ObjectRef(EXPERIMENT, meta.namespace, meta.name))
    if live or not await caller.may("create", meta.namespace):
        await caller.require("update", meta.namespace)
    subject = await state.beside(_subject, posted, meta, live, state.options)
    return await state.beside(_answer, Snapshot.take(subject, state.caches), state.neighbour_check)


def _posted(body: bytes) -> tuple[Object, Metadata]:
    """Read the Experiment in the body, and its name. Raises InvalidRequest."""
    problems: list[str] = []
    found = list(documents.read(body, "the body", problems))
    if not problems and len(found) != 1:
        problems = [f"the body must be one Experiment, and holds {len(found)} documents"]
    if not problems:
        problems = _wrong_kind(found[0].content)
    if problems:
        raise InvalidRequest.naming(problems)
    try:
        return found[0].content, Metadata.model_validate(found[0].content.get("metadata"))
    except ValidationError as error:
        raise InvalidRequest.naming([f"metadata.{line}" for line in sentences(error)]) from None


def _wrong_kind(content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["the body must be an object"]
    expected = {"apiVersion": EXPERIMENT.api_version, "kind": EXPERIMENT.kind}
    return [f"{field}: must be {value}" for field, value in expected.items() if content.get(field) != value]


def _applied(posted: Object, meta: Metadata, live: Object | None) -> Object:
    """Make what would be there after the apply: the spec is the posted one, the rest is the cluster's."""
    cluster = live or {"metadata": {"name": meta.name, "namespace": meta.namespace, "generation": 0}}
    same = live is not None and live["spec"] == posted.get("spec")
    generation = cluster["metadata"]["generation"] + (0 if same else 1)
    return {**cluster, "metadata": {**cluster["metadata"], "generation": generation}, "spec": posted.get("spec")}


def _subject(posted: Object, meta: Metadata, live: Object | None, options: Options) -> Subject:
    """Make the subject after the apply, with all that is wrong: the API server refuses unknown fields, too."""
    subject = Subject.of(_applied(posted, meta, live), options)
    try:
        parse(posted, strict=True)
    except ValidationError as error:
        return replace(subject, spec=None, errors=sentences(error))
    return subject


def _answer(snapshot: Snapshot, neighbour_check: NeighbourCheck) -> Response:
    view = plan_view(plan(snapshot), review(snapshot, neighbour_check=neighbour_check))
    return Response(view.model_dump_json(by_alias=True), media_type="application/json")


def _manifests(snapshot: Snapshot, *, as_yaml: bool) -> Response:
    """Answer with the generated objects. Raises NotGenerated."""
    made = plan(snapshot)
    if made.problems:
        problems = [str(problem) for problem in made.problems]
        raise NotGenerated(f"Not all objects can be generated: {' '.join(problems)}", problems)
    if as_yaml:
        return Response(documents.write(made.manifests), media_type=_YAML)
    answer = {"apiVersion": "v1", "kind": "List", "items": made.manifests}
    return Response(json.dumps(answer, ensure_ascii=False), media_type="application/json")


def plan_view(made: Plan, said: Review) -> PlanView:
    """Say what a plan would do, and what admission says of the Experiment."""
    meta = made.snapshot.subject.meta
    return PlanView(
        namespace=meta.namespace,
        name=meta.name,
        needed=made.needed,
        reasons=reasons(made),
        changes=[_change(action) for action in made.actions],
        conditions=list(made.report.conditions) if made.report else [],
        agent_url=made.report.agent_url if made.report else None,
        refusals=[FieldMessage(path=found.path, message=found.sentence) for found in said.problems],
        problems=[PlanProblem(reason=problem.reason, message=str(problem)) for problem in made.problems],
        warnings=[FieldMessage(path=found.path, message=found.sentence) for found in said.warnings],
    )


def _change(action: Action) -> PlannedChange:
    ref, found = action.ref, differences(action.manifest, action.live or {}) if action.manifest else []
    return PlannedChange(
        verb=_verb(action),
        kind=ref.resource.kind,
        namespace=ref.namespace,
        name=ref.name,
        fields=[FieldChange(path=each.path, current=each.live, planned=each.desired) for each in found],
    )


def _verb(action: Action) -> PlanVerb:
    if action.step == Step.ABORT_EXECUTIONS:
        return "abort"
    if action.step == Step.ADD_FINALIZER:
        return "addFinalizer"
    if action.step == Step.REMOVE_FINALIZER:
        return "removeFinalizer"
    if action.step in REPLACE.values():
        return "replace"
    if action.manifest is None:
        return "delete"
    return "create" if action.live is None else "change"
