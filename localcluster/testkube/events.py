"""The Events by which Testkube tells Kubernetes of an execution: on the TestWorkflow, each an object of its own.

They say that there is something to see, and of what; how it stands only the API tells. None is sent where an execution
is canceled.
"""

from __future__ import annotations

import uuid

from kube.client import KubeClient
from kube.objects import EVENT, Object
from localcluster.testkube.executions import Json, timestamp

QUEUED = "queue-testworkflow"
STARTED = "start-testworkflow"
ENDED = {
    "passed": "end-testworkflow-success",
    "failed": "end-testworkflow-failed",
    "aborted": "end-testworkflow-aborted",
}
_ACTIONS = {
    QUEUED: "queued",
    STARTED: "started",
    ENDED["passed"]: "succeed",
    ENDED["failed"]: "failed",
    ENDED["aborted"]: "aborted",
}


async def send_event(kube: KubeClient, execution: Json, reason: str) -> None:
    """Create the Event of this reason about an execution's TestWorkflow. Raises KubeError."""
    await kube.create(EVENT, event(execution, reason))


def event(execution: Json, reason: str) -> Object:
    """Return the Event of this reason about an execution's TestWorkflow."""
    workflow, now = execution["workflow"], timestamp()
    second = f"{now[:19]}Z"
    about = {"apiVersion": "testworkflows.testkube.io/v1", "kind": "TestWorkflow"}
    metadata = {"name": f"testkube-event-{uuid.uuid4()}", "namespace": workflow["namespace"]}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata | {"labels": workflow.get("labels", {})},
        "involvedObject": about | {key: workflow[key] for key in ("name", "namespace")},
        "reason": reason,
        "action": _ACTIONS[reason],
        "message": f"executionId={execution['id']}",
        "type": "Normal",
        "eventTime": now,
        "firstTimestamp": second,
        "lastTimestamp": second,
        "reportingComponent": "testkube.io/services",
        "reportingInstance": "testkube.io/services/testkube-api-server",
        "source": {},
    }
