"""Events about an Experiment: what `kubectl describe` shows of what happened. Best effort: nothing waits for them."""

from __future__ import annotations

import hashlib

import structlog

from experiments.contract import Target
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from kube.errors import AlreadyExistsError, KubeError
from kube.objects import EVENT, FIELD_MANAGER

log = structlog.get_logger(__name__)

_MESSAGE_LIMIT = 1024


class EventRecorder:
    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def record(self, about: Target, reason: str, message: str, *, time: str, run_id: str, warning: bool) -> None:
        """Write an Event whose name follows from what it says, so that a repeated step does not say it twice."""
        digest = hashlib.sha256(f"{run_id} {time} {reason} {message}".encode()).hexdigest()[:16]
        experiment = {"apiVersion": EXPERIMENT.api_version, "kind": EXPERIMENT.kind, "uid": about.uid}
        event = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": f"{about.name[:200]}.{digest}", "namespace": about.namespace},
            "involvedObject": {**experiment, "name": about.name, "namespace": about.namespace},
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:_MESSAGE_LIMIT],
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
        }
        try:
            await self._client.create(EVENT, event)
        except AlreadyExistsError:
            log.debug("Event was written before", experiment=about.name)
        except KubeError as error:
            # The status has said it already, and a run must not stay open for want of an Event.
            log.warning("Event not written", experiment=about.name, error=str(error))
