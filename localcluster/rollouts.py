"""Stands for deployment controller and kubelets, which the local cluster has not: a rollout is over after a while.

Nothing runs. A Deployment's status says what it would say while new pods come up, and once they are there.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from kube.client import KubeClient
from kube.errors import ConflictError, KubeError, NotFoundError
from kube.objects import DEPLOYMENT, Object, ObjectRef, Source, ref_of
from kube.reflector import Change, Reflector

_UNDER_WAY = "ReplicaSetUpdated"
FINISHED_ROLLOUT = "NewReplicaSetAvailable"

log = structlog.get_logger(__name__)


class Rollouts:
    """Run it as one task. A rollout of any Deployment in the cluster takes `seconds`."""

    def __init__(self, kube: KubeClient, seconds: float) -> None:
        self._kube = kube
        self._seconds = seconds
        self._pending: dict[ObjectRef, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow Deployments until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def on_change(change: Change) -> None:
                if change.new and change.ref and not is_observed(change.new):
                    if before := self._pending.pop(change.ref, None):
                        before.cancel()
                    self._pending[change.ref] = tasks.create_task(self._roll_out(change.new))

            tasks.create_task(Reflector(self._kube, Source(DEPLOYMENT), on_change).run())

    async def _roll_out(self, deployment: Object) -> None:
        try:
            await self._write(deployment, _UNDER_WAY)
            await asyncio.sleep(self._seconds)
            await self._write(deployment, FINISHED_ROLLOUT)
        except (ConflictError, NotFoundError):
            pass  # there is a newer one, or none
        except KubeError as error:
            log.warning("rollout not told of", deployment=str(ref_of(DEPLOYMENT, deployment)), error=str(error))

    async def _write(self, deployment: Object, reason: str) -> None:
        status = status_of(deployment, reason, datetime.now(UTC))
        await self._kube.merge_patch(ref_of(DEPLOYMENT, deployment), {"status": status}, subresource="status")


def is_observed(deployment: Object) -> bool:
    """Tell whether its status speaks of what is asked for now."""
    observed = (deployment.get("status") or {}).get("observedGeneration")
    return bool(observed == deployment["metadata"]["generation"])


def is_rolled_out(deployment: Object) -> bool:
    """Tell whether the pods that are asked for now are there, and no others."""
    conditions = (deployment.get("status") or {}).get("conditions") or ()
    return is_observed(deployment) and any(each.get("reason") == FINISHED_ROLLOUT for each in conditions)


def rolled_out_at(deployment: Object) -> datetime:
    """Return when its last rollout ended. Raises ValueError where none has."""
    for each in (deployment.get("status") or {}).get("conditions") or ():
        if each.get("reason") == FINISHED_ROLLOUT:
            return datetime.fromisoformat(each["lastUpdateTime"])
    raise ValueError(f"{deployment['metadata']['name']} is being rolled out")


def status_of(deployment: Object, reason: str, now: datetime) -> Object:
    """Return what the controller would write: a rollout under way, or its end. The old pods serve until then."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    replicas = deployment["spec"].get("replicas", 1)
    known = {each["type"]: each for each in (deployment.get("status") or {}).get("conditions") or ()}
    conditions = [
        {"type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": moment},
        {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
    ]
    if reason != FINISHED_ROLLOUT and "Available" not in known:
        conditions[1] |= {"status": "False", "reason": "MinimumReplicasUnavailable"}
    for each in conditions:
        before = known.get(each["type"], {})
        same = before.get("status") == each["status"]
        each["lastTransitionTime"] = before["lastTransitionTime"] if same else moment
        each.setdefault("lastUpdateTime", before.get("lastUpdateTime", moment) if same else moment)
    numbers = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    generation = {"observedGeneration": deployment["metadata"]["generation"]}
    return {**generation, "conditions": conditions, **(numbers if reason == FINISHED_ROLLOUT else {})}
