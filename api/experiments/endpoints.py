"""`GET /experiments`, `…/namespaces/{ns}/experiments` and `…/experiments/{name}`: what the cluster says now.

Answers come from this process's own caches, so that readers cost the API server nothing; when it is away, they say how
old they are. What happened before is in `reconciliations`, what happens from now on in `events`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.auth.dependencies import MayGet, TheCaller
from api.dependencies import AppState, State, listable_experiments, read_subject, require_filled
from api.experiments.children import children
from api.experiments.listing import ListQuery, find, page
from api.experiments.schemas import AgentUrlSource, ExperimentDetail, ExperimentList, summary
from api.http.etag import Stale, answer, conditional, stale
from api.http.path import Name, Namespace
from api.http.problems import documented
from api.http.sendable import sendable
from api.reconciliations.visibility import Runs
from experiments.conditions import ConditionType
from experiments.plan import plan
from experiments.resources import EXPERIMENT
from experiments.snapshot import Snapshot
from kube.objects import Object

router = APIRouter(prefix="/api/v1", tags=["Experiments"])

ListParameters = Annotated[ListQuery, Query()]


@router.get(
    "/experiments",
    summary="List the Experiments of all namespaces",
    description="Of those namespaces whose Experiments the caller may list.",
    response_model=ExperimentList,
    responses=conditional() | documented(401, 422, 503),
)
async def list_experiments(request: Request, query: ListParameters, state: State, caller: TheCaller) -> Response:
    return _list(request, await listable_experiments(state, caller), query, state)


@router.get(
    "/namespaces/{namespace}/experiments",
    summary="List the Experiments of one namespace",
    response_model=ExperimentList,
    responses=conditional() | documented(401, 403, 422, 503),
)
async def list_experiments_of_namespace(
    request: Request, namespace: Namespace, query: ListParameters, state: State, caller: TheCaller
) -> Response:
    await caller.require("list", namespace)
    require_filled(state.caches)
    found = state.caches.objects(EXPERIMENT)
    return _list(request, (obj for obj in found if obj["metadata"]["namespace"] == namespace), query, state)


@router.get(
    "/namespaces/{namespace}/experiments/{name}",
    summary="Show one Experiment: spec, conditions and generated objects",
    dependencies=[MayGet],
    response_model=ExperimentDetail,
    responses=conditional() | documented(401, 403, 404, 422, 503),
)
async def get_experiment(request: Request, namespace: Namespace, name: Name, state: State) -> Response:
    snapshot = Snapshot.take(await read_subject(state, namespace, name), state.caches)
    return await state.beside(_detail, request, snapshot, state.runs, stale(state.caches))


def _detail(request: Request, snapshot: Snapshot, runs: Runs, age: Stale | None) -> Response:
    obj, status = snapshot.subject.obj, snapshot.subject.status
    resolved = status.condition(ConditionType.AGENT_RESOLVED)
    detail = ExperimentDetail(
        **dict(summary(obj, runs)),
        spec=sendable(obj.get("spec") or {}),
        conditions=status.conditions,
        agent_url_from=AgentUrlSource(reason=resolved.reason, message=resolved.message) if resolved else None,
        generated_resources=status.generated_resources,
        children=list(children(plan(snapshot))),
        stale=age,
    )
    return answer(request, detail, age)


def _list(request: Request, objects: Iterable[Object], query: ListQuery, state: AppState) -> Response:
    found = find(objects, query)
    items, next_cursor = page(found, query, request.url.path)
    age = stale(state.caches, EXPERIMENT)
    shown = [summary(obj, state.runs) for obj in items]
    return answer(request, ExperimentList(items=shown, total=len(found), next_cursor=next_cursor, stale=age), age)
