"""Objects that lie in Testkube's namespace, for as long as a test wants them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kube.objects import Object
from localcluster import LocalCluster


@asynccontextmanager
async def applied(cluster: LocalCluster, *objects: Object, namespace: str = "testkube") -> AsyncIterator[None]:
    """Until the end of the block they are there."""
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    await cluster.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=items)
    try:
        yield
    finally:
        await cluster.kubectl("delete", "-n", namespace, "-f", "-", stdin=items)


def deployment(name: str, **env: str | None) -> Object:
    """Of one container with these variables in its environment; those without value are from a Secret."""
    secret = {"valueFrom": {"secretKeyRef": {"name": "agent", "key": "key"}}}
    variables = [{"name": each, **(secret if value is None else {"value": value})} for each, value in env.items()]
    labels, container = {"app": name}, {"name": "agent", "image": "agent", "env": variables}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def workflow(name: str) -> Object:
    return {
        "apiVersion": "testworkflows.testkube.io/v1",
        "kind": "TestWorkflow",
        "metadata": {"name": name},
        "spec": {},
    }


def trigger(name: str, selector: dict[str, Any], **spec: Any) -> Object:
    """On the rollout of a Deployment, it starts the TestWorkflows that are selected."""
    event = {"resource": "deployment", "resourceSelector": {"name": "agent"}, "event": "modified", "action": "run"}
    spec = {**event, "execution": "testworkflow", "testSelector": selector, **spec}
    return {"apiVersion": "tests.testkube.io/v1", "kind": "TestTrigger", "metadata": {"name": name}, "spec": spec}
