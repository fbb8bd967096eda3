"""`GET /experiments`, `…/namespaces/{ns}/experiments` and `…/experiments/{name}`: what the cluster says now.

Answers come from this process's own caches, so that readers cost the API server nothing; when it is away, they say how
old they are. What happened before is in `reconciliations`, what happens from now on in `live`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, ValidationError

from api.auth.dependencies import MayGet, TheCaller
from api.children import Child, children
from api.dependencies import Parts, TheParts
from api.http.etag import Stale, answer, conditional, stale
from api.http.path import Name, Namespace
from api.http.problems import CachesNotFilled, NotFound, documented
from api.listing import ListQuery, agent_of, find, page
from api.reconciliations.visibility import Runs
from experiments.conditions import ConditionType
from experiments.models import Condition, ExperimentStatus, GeneratedResource, LastReconciliation, Part
from experiments.objects import EXPERIMENT, Object, ObjectRef
from experiments.plan import plan
from experiments.snapshot import Snapshot, Subject
from kube.caches import Caches

router = APIRouter(prefix="/api/v1", tags=["Experiments"])

ListParameters = Annotated[ListQuery, Query()]


class Links(Part):
    """Where to read on. `last_reconciliation` and `temporal` are null before the first run has changed something."""

    itself: str = Field(alias="self")
    reconciliations: str
    last_reconciliation: str | None
    plan: str
    manifests: str
    events: str
    temporal: str | None


class ExperimentSummary(Part):
    """An Experiment in a list. `ready`, `reason` and `message` are those of its condition Ready.

    They speak of `observed_generation`; where that is behind `generation`, the newest change is still to be worked on.
    """

    namespace: str
    name: str
    uid: str
    labels: dict[str, str]
    generation: int
    observed_generation: int | None
    creation_timestamp: datetime
    deletion_timestamp: datetime | None
    agent: str | None = Field(description="Namespace and name of the Agent that is evaluated.")
    agent_url: str | None
    ready: bool
    reason: str | None
    message: str | None
    last_reconciliation: LastReconciliation | None
    links: Links


class ExperimentList(Part):
    """One page. `total` counts the matches on all pages; `next_cursor` is null on the last.

    `stale` is null while the Kubernetes API server keeps this service up to date.
    """

    items: list[ExperimentSummary]
    total: int
    next_cursor: str | None
    stale: Stale | None


class Origin(Part):
    """Where the agent's URL came from: reason and message of the condition AgentResolved."""

    reason: str
    message: str


class ExperimentDetail(ExperimentSummary):
    """One Experiment with its spec as it was applied, all its conditions, and the objects generated for it.

    `generated_resources` are those that the status names, `children` those that the cluster has or should have now.
    """

    spec: dict[str, Any]
    conditions: list[Condition]
    agent_url_from: Origin | None
    generated_resources: list[GeneratedResource]
    children: list[Child]
    stale: Stale | None


@router.get(
    "/experiments",
    summary="List the Experiments of all namespaces",
    description="Of those namespaces whose Experiments the caller may list.",
    response_model=ExperimentList,
    responses=conditional() | documented(401, 422, 503),
)
async def list_experiments(request: Request, query: ListParameters, parts: TheParts, caller: TheCaller) -> Response:
    require_filled(parts.caches)
    found = parts.caches.objects(EXPERIMENT)
    namespaces = await caller.listable({obj["metadata"]["namespace"] for obj in found})
    return _list(request, (obj for obj in found if obj["metadata"]["namespace"] in namespaces), query, parts)


@router.get(
    "/namespaces/{namespace}/experiments",
    summary="List the Experiments of one namespace",
    response_model=ExperimentList,
    responses=conditional() | documented(401, 403, 422, 503),
)
async def list_experiments_of_namespace(
    request: Request, namespace: Namespace, query: ListParameters, parts: TheParts, caller: TheCaller
) -> Response:
    await caller.require("list", namespace)
    require_filled(parts.caches)
    found = parts.caches.objects(EXPERIMENT)
    return _list(request, (obj for obj in found if obj["metadata"]["namespace"] == namespace), query, parts)


@router.get(
    "/namespaces/{namespace}/experiments/{name}",
    summary="Show one Experiment: spec, conditions and generated objects",
    dependencies=[MayGet],
    response_model=ExperimentDetail,
    responses=conditional() | documented(401, 403, 404, 422, 503),
)
async def get_experiment(request: Request, namespace: Namespace, name: Name, parts: TheParts) -> Response:
    obj = require_experiment(parts.caches, namespace, name)
    status = _status(obj)
    resolved = status.condition(ConditionType.AGENT_RESOLVED)
    made = plan(Snapshot.take(Subject.of(obj, parts.options), parts.caches))
    detail = ExperimentDetail(
        **dict(summary(obj, parts.runs)),
        spec=_without_depths(obj.get("spec") or {}),
        conditions=status.conditions,
        agent_url_from=Origin(reason=resolved.reason, message=resolved.message) if resolved else None,
        generated_resources=status.generated_resources,
        children=list(children(made)),
        stale=stale(parts.caches),
    )
    return answer(request, detail, detail.stale)


def require_experiment(caches: Caches, namespace: str, name: str) -> Object:
    """Raises NotFound, or CachesNotFilled while nobody can tell."""
    require_filled(caches)
    obj = caches.get(ObjectRef(EXPERIMENT, namespace, name))
    if obj is None:
        raise NotFound(f"There is no Experiment {namespace}/{name}.")
    return obj


def require_filled(caches: Caches) -> None:
    """Raises CachesNotFilled."""
    if not caches.synced:
        raise CachesNotFilled("This process has not listed the Experiments yet; ask again in a few seconds.")


def summary(obj: Object, runs: Runs) -> ExperimentSummary:
    meta, status = obj["metadata"], _status(obj)
    ready = status.condition(ConditionType.READY)
    return ExperimentSummary(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        labels=meta.get("labels") or {},
        generation=meta["generation"],
        observed_generation=status.observed_generation,
        creation_timestamp=meta["creationTimestamp"],
        deletion_timestamp=meta.get("deletionTimestamp"),
        agent=agent_of(obj),
        agent_url=status.agent_url,
        ready=ready is not None and ready.status == "True",
        reason=ready.reason if ready else None,
        message=ready.message if ready else None,
        last_reconciliation=status.last_reconciliation,
        links=_links(meta["namespace"], meta["name"], status.last_reconciliation, runs),
    )


def _list(request: Request, objects: Iterable[Object], query: ListQuery, parts: Parts) -> Response:
    found = find(objects, query)
    items, cursor = page(found, query, request.url.path)
    age = stale(parts.caches, EXPERIMENT)
    shown = [summary(obj, parts.runs) for obj in items]
    return answer(request, ExperimentList(items=shown, total=len(found), next_cursor=cursor, stale=age), age)


def _status(obj: Object) -> ExperimentStatus:
    """Empty where it is of a kind that the CRD no longer allows; the worker writes it anew."""
    try:
        return ExperimentStatus.model_validate(obj.get("status", {}))
    except ValidationError:
        return ExperimentStatus()


def _links(namespace: str, name: str, last: LastReconciliation | None, runs: Runs) -> Links:
    itself = f"{router.prefix}/namespaces/{namespace}/experiments/{name}"
    return Links(
        itself=itself,
        reconciliations=f"{itself}/reconciliations",
        last_reconciliation=f"{itself}/reconciliations/{last.run_id}" if last else None,
        plan=f"{itself}/plan",
        manifests=f"{itself}/manifests",
        events=f"{itself}/events",
        temporal=runs.url(last.workflow_id, last.run_id) if last else None,
    )


def _without_depths(value: Any, levels: int = 200) -> Any:
    """With null for what is nested deeper: pydantic writes no more than 255 levels."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return None
    if isinstance(value, list):
        return [_without_depths(each, levels - 1) for each in value]
    return {key: _without_depths(each, levels - 1) for key, each in value.items()}
