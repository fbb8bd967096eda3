"""What the api says of an Experiment. A summary is the same in a list and in an event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from api.experiments.children import Child
from api.experiments.listing import agent_of
from api.http.etag import Stale
from api.reconciliations.visibility import Runs
from experiments.conditions import ConditionType
from experiments.models import (
    Condition,
    ExperimentStatus,
    GeneratedResource,
    LastExecution,
    LastReconciliation,
    Part,
    parse_status,
)
from kube.objects import Object


class Links(Part):
    """Where to read on. What is about something that has not been yet is null."""

    itself: str = Field(alias="self")
    reconciliations: str
    last_reconciliation: str | None
    executions: str
    last_execution: str | None
    timeline: str
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
    last_execution: LastExecution | None
    links: Links


class ExperimentList(Part):
    """One page. `total` counts the matches on all pages; `next_cursor` is null on the last.

    `stale` is null while the Kubernetes API server keeps this service up to date.
    """

    items: list[ExperimentSummary]
    total: int
    next_cursor: str | None
    stale: Stale | None


class AgentUrlSource(Part):
    """Where the agent's URL came from: reason and message of the condition AgentResolved."""

    reason: str
    message: str


class ExperimentDetail(ExperimentSummary):
    """One Experiment with its spec as it was applied, all its conditions, and the objects generated for it.

    `generated_resources` are those that the status names, `children` those that the cluster has or should have now.
    """

    spec: dict[str, Any]
    conditions: list[Condition]
    agent_url_from: AgentUrlSource | None
    generated_resources: list[GeneratedResource]
    children: list[Child]
    stale: Stale | None


def summary(obj: Object, runs: Runs) -> ExperimentSummary:
    """Sum up an Experiment for lists and events; `runs` knows the links into Temporal."""
    meta, status = obj["metadata"], parse_status(obj)
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
        last_execution=status.last_execution,
        links=_links(meta["namespace"], meta["name"], status, runs),
    )


def _links(namespace: str, name: str, status: ExperimentStatus, runs: Runs) -> Links:
    itself = f"/api/v1/namespaces/{namespace}/experiments/{name}"
    last, executed = status.last_reconciliation, status.last_execution
    execution = executed.execution_id if executed else None
    return Links(
        itself=itself,
        reconciliations=f"{itself}/reconciliations",
        last_reconciliation=f"{itself}/reconciliations/{last.run_id}" if last else None,
        executions=f"{itself}/executions",
        last_execution=f"{itself}/executions/{execution}" if execution else None,
        timeline=f"{itself}/timeline",
        plan=f"{itself}/plan",
        manifests=f"{itself}/manifests",
        events=f"{itself}/events",
        temporal=runs.url(last.workflow_id, last.run_id) if last else None,
    )
