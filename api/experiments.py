"""`GET /experiments` and `GET /namespaces/{ns}/experiments/{name}`: what the cluster says now.

Answers come from this process's own caches, so that readers cost the API server nothing. What happened before is in
`reconciliations`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from api.dependencies import MayGet, Name, Namespace, TheCaches, TheCaller, TheRuns
from api.problems import CachesNotFilled, NotFound, documented
from api.runs import Runs
from experiments.conditions import ConditionType
from experiments.models import Condition, ExperimentStatus, GeneratedResource, LastReconciliation, Part
from experiments.objects import EXPERIMENT, Object, ObjectRef
from kube.caches import Caches

router = APIRouter(prefix="/api/v1", tags=["Experiments"])


class Links(Part):
    """Where to read on. `last_reconciliation` and `temporal` are null before the first run has changed something."""

    itself: str = Field(alias="self")
    reconciliations: str
    last_reconciliation: str | None
    temporal: str | None


class ExperimentSummary(Part):
    """An Experiment in a list. `ready`, `reason` and `message` are those of its condition Ready.

    They speak of `observed_generation`; where that is behind `generation`, the newest change is still to be worked on.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    observed_generation: int | None
    creation_timestamp: datetime
    deletion_timestamp: datetime | None
    agent: str = Field(description="Namespace and name of the Agent that is evaluated.")
    agent_url: str | None
    ready: bool
    reason: str | None
    message: str | None
    last_reconciliation: LastReconciliation | None
    links: Links


class ExperimentList(Part):
    """All Experiments, by namespace and name."""

    items: list[ExperimentSummary]


class ExperimentDetail(ExperimentSummary):
    """One Experiment with its spec as it was applied, all its conditions, and the objects generated for it."""

    spec: dict[str, Any]
    conditions: list[Condition]
    generated_resources: list[GeneratedResource]


@router.get("/experiments", summary="List the Experiments of all namespaces", responses=documented(401, 503))
async def list_experiments(caches: TheCaches, runs: TheRuns, caller: TheCaller) -> ExperimentList:
    _require_filled(caches)
    found = caches.objects(EXPERIMENT)
    namespaces = await caller.listable({obj["metadata"]["namespace"] for obj in found})
    items = [_summary(obj, runs) for obj in found if obj["metadata"]["namespace"] in namespaces]
    return ExperimentList(items=sorted(items, key=lambda item: (item.namespace, item.name)))


@router.get(
    "/namespaces/{namespace}/experiments/{name}",
    summary="Show one Experiment: spec, conditions and generated objects",
    dependencies=[MayGet],
    responses=documented(401, 403, 404, 422, 503),
)
async def get_experiment(namespace: Namespace, name: Name, caches: TheCaches, runs: TheRuns) -> ExperimentDetail:
    obj = require_experiment(caches, namespace, name)
    status = _status(obj)
    return ExperimentDetail(
        **dict(_summary(obj, runs)),
        spec=obj["spec"],
        conditions=status.conditions,
        generated_resources=status.generated_resources,
    )


def require_experiment(caches: Caches, namespace: str, name: str) -> Object:
    """Raises NotFound, or CachesNotFilled while nobody can tell."""
    _require_filled(caches)
    obj = caches.get(ObjectRef(EXPERIMENT, namespace, name))
    if obj is None:
        raise NotFound(f"There is no Experiment {namespace}/{name}.")
    return obj


def _require_filled(caches: Caches) -> None:
    if not caches.synced:
        raise CachesNotFilled("This process has not listed the Experiments yet; ask again in a few seconds.")


def _summary(obj: Object, runs: Runs) -> ExperimentSummary:
    meta, agent, status = obj["metadata"], obj["spec"]["agentRef"], _status(obj)
    ready = status.condition(ConditionType.READY)
    return ExperimentSummary(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=meta["generation"],
        observed_generation=status.observed_generation,
        creation_timestamp=meta["creationTimestamp"],
        deletion_timestamp=meta.get("deletionTimestamp"),
        agent=f"{agent.get('namespace') or meta['namespace']}/{agent['name']}",
        agent_url=status.agent_url,
        ready=ready is not None and ready.status == "True",
        reason=ready.reason if ready else None,
        message=ready.message if ready else None,
        last_reconciliation=status.last_reconciliation,
        links=_links(meta["namespace"], meta["name"], status.last_reconciliation, runs),
    )


def _status(obj: Object) -> ExperimentStatus:
    return ExperimentStatus.model_validate(obj.get("status", {}))


def _links(namespace: str, name: str, last: LastReconciliation | None, runs: Runs) -> Links:
    itself = f"{router.prefix}/namespaces/{namespace}/experiments/{name}"
    return Links(
        itself=itself,
        reconciliations=f"{itself}/reconciliations",
        last_reconciliation=f"{itself}/reconciliations/{last.run_id}" if last else None,
        temporal=runs.url(last.workflow_id, last.run_id) if last else None,
    )
