"""`GET /reconciliations`, `…/{name}/reconciliations` and `…/{run_id}`: what was done, why, and doing it now.

They answer from Temporal, through `visibility`, also for Experiments that no longer exist. To ask for a run twice does
no harm: the second request wakes the run that is open, or begins one that finds nothing to do.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.dependencies import MayGet, MayUpdate, TheCaller
from api.dependencies import State, require_experiment, require_filled
from api.http.etag import answer, conditional
from api.http.path import Name, Namespace
from api.http.problems import documented
from api.http.waiting import Wait, until_done
from api.reconciliations.pages import RunFilter, RunQuery, page
from api.reconciliations.schemas import ReconcileRequest, ReconciliationDetail, RunPage
from api.reconciliations.visibility import query_all, query_by_namespaces, temporal_call
from experiments.contract import Target, Urgency, WakeSignal
from experiments.resources import EXPERIMENT
from kube.objects import ObjectRef

router = APIRouter(prefix="/api/v1", tags=["Reconciliations"])

_OF_ONE = "/namespaces/{namespace}/experiments/{name}/reconciliations"

RunId = Annotated[UUID, Path(description="Its `runId`.", examples=["82bb5547-f09d-4a0c-8fc2-6a72494be1cb"])]
_LOCATION = {"Location": {"description": "Path of the run.", "schema": {"type": "string"}}}


@router.get(
    "/reconciliations",
    summary="List what was done about all Experiments, newest first",
    description="Of those that the caller may list. Who may not list those of all namespaces gets the runs of the "
    "namespaces that have an Experiment now.",
    responses=documented(401, 422, 503),
)
async def list_all_reconciliations(query: Annotated[RunFilter, Query()], state: State, caller: TheCaller) -> RunPage:
    if await caller.may("list", ""):
        return await page(state.runs, query_all(), query)
    require_filled(state.caches)
    namespaces = await caller.listable({obj["metadata"]["namespace"] for obj in state.caches.objects(EXPERIMENT)})
    if not namespaces:
        return RunPage(items=[], next_cursor=None, counts={})
    return await page(state.runs, query_by_namespaces(namespaces), query, scope=query_all())


@router.get(
    _OF_ONE,
    summary="List what was done about an Experiment, newest first",
    description="Also of an Experiment that was deleted, and of earlier ones of the name, while Temporal keeps them.",
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def list_reconciliations(
    namespace: Namespace, name: Name, query: Annotated[RunQuery, Query()], state: State
) -> RunPage:
    found = await page(state.runs, query.selection(namespace, name), query)
    if not found.items and not found.next_cursor and not await state.runs.exists(namespace, name):
        require_experiment(state.caches, namespace, name)
    return found


@router.get(
    f"{_OF_ONE}/{{run_id}}",
    summary="Show one run with its steps",
    description="Each step with its attempts and, in words, what it did or why it failed; and what woke the run.",
    dependencies=[MayGet],
    response_model=ReconciliationDetail,
    responses=conditional() | documented(401, 403, 404, 422, 503),
)
async def get_reconciliation(
    request: Request, namespace: Namespace, name: Name, run_id: RunId, state: State
) -> Response:
    obj = state.caches.get(ObjectRef(EXPERIMENT, namespace, name))
    run = await state.runs.one(namespace, name, str(run_id), obj["metadata"]["uid"] if obj else None)
    return answer(request, run)


@router.post(
    _OF_ONE,
    summary="Reconcile an Experiment now",
    description="Begins a run, or wakes the one that is open. Answers at once, or with `wait` when the run has ended.",
    dependencies=[MayUpdate],
    status_code=202,
    response_model=ReconciliationDetail,
    responses={
        200: {"model": ReconciliationDetail, "description": "With `wait`: the run has ended.", "headers": _LOCATION},
        202: {"description": "The run, which may be under way.", "headers": _LOCATION},
        **documented(401, 403, 404, 413, 422, 503),
    },
)
async def reconcile(
    request: Request,
    namespace: Namespace,
    name: Name,
    state: State,
    *,
    wish: ReconcileRequest | None = None,
    wait: Wait = None,
) -> Response:
    uid = require_experiment(state.caches, namespace, name)["metadata"]["uid"]
    target = Target(namespace, name, uid)
    why = f"requested: {wish.reason}" if wish and wish.reason else "requested"
    async with temporal_call():
        run_id = await state.start(target, WakeSignal([why]), Urgency.ASKED)
    if wait:
        await until_done(state.runs.wait_closed(target, run_id), request, wait)
    run = await state.runs.one(namespace, name, run_id, uid)
    return Response(
        run.model_dump_json(by_alias=True),
        status_code=200 if wait and run.status != "Running" else 202,
        media_type="application/json",
        headers={"Location": f"{request.url.path}/{run_id}"},
    )
