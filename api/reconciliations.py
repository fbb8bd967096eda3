"""`GET …/reconciliations` and `GET …/reconciliations/{run_id}`: what was done about an Experiment, and why.

They answer from Temporal, through `runs`, also for Experiments that no longer exist.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.dependencies import MayGet, Name, Namespace, TheCaches, TheRuns
from api.experiments import require_experiment
from api.problems import documented
from api.runs import Reconciliation, ReconciliationDetail
from experiments.models import Part
from experiments.objects import EXPERIMENT, ObjectRef

router = APIRouter(prefix="/api/v1/namespaces/{namespace}/experiments/{name}", tags=["Reconciliations"])

Limit = Annotated[int, Query(ge=1, le=200, description="How many runs at most.")]


class ReconciliationList(Part):
    """Runs, newest first."""

    items: list[Reconciliation]


@router.get(
    "/reconciliations",
    summary="List what was done about an Experiment, newest first",
    description="Also of an Experiment that was deleted, and of earlier ones of the name, while Temporal keeps them.",
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def list_reconciliations(
    namespace: Namespace, name: Name, caches: TheCaches, runs: TheRuns, limit: Limit = 50
) -> ReconciliationList:
    items = await runs.newest(namespace, name, limit)
    if not items:
        require_experiment(caches, namespace, name)
    return ReconciliationList(items=items)


@router.get(
    "/reconciliations/{run_id}",
    summary="Show one run with its steps",
    description="Each step with its attempts and, in words, what it did or why it failed; and what woke the run.",
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def get_reconciliation(
    namespace: Namespace, name: Name, run_id: UUID, caches: TheCaches, runs: TheRuns
) -> ReconciliationDetail:
    obj = caches.get(ObjectRef(EXPERIMENT, namespace, name))
    return await runs.one(namespace, name, str(run_id), obj["metadata"]["uid"] if obj else None)
