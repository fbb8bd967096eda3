"""What `kubectl get` shows of Experiments, and under which names it finds them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from localcluster import LocalCluster

EXPERIMENT = """
apiVersion: testbench.agentic-layer.ai/v1alpha1
kind: Experiment
metadata:
  name: listed
spec:
  agentRef: {name: weather-agent}
  scenarios: [{name: rain, steps: [{input: Rain}]}]
"""


@pytest.fixture(scope="module")
async def namespace(cluster: LocalCluster) -> str:
    """With an Experiment in it that is not ready, and that ran three hours ago."""
    await cluster.kubectl("create", "namespace", "listed")
    await cluster.kubectl("apply", "-n", "listed", "-f", "-", stdin=EXPERIMENT)
    now = datetime.now(UTC)
    ready = {"type": "Ready", "status": "False", "reason": "TemplateMissing", "message": "No template."}
    status = {
        "observedGeneration": 1,
        "conditions": [{**ready, "lastTransitionTime": now.isoformat(timespec="seconds"), "observedGeneration": 1}],
        "generatedResources": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "namespace": "testkube"}],
        "agentUrl": "http://weather-agent",
        "lastReconciliation": {"workflowId": "w", "runId": "r", "time": now.isoformat(), "requestedAt": "now"},
        "lastExecution": {
            "executionId": "6740",
            "executionNumber": 3,
            "startTime": (now - timedelta(hours=3)).isoformat(),
            "endTime": now.isoformat(),
            "status": "passed",
            "startedBy": "Trigger",
            "verdict": "Failed",
            "metrics": {"total": 20, "passed": 17, "failed": 3, "errored": 0},
            "summary": "Failed 17/20",
        },
        "executeAt": "now",
    }
    patch = json.dumps({"status": status})
    await cluster.kubectl(
        "patch", "-n", "listed", "experiment/listed", "--subresource=status", "--type=merge", "-p", patch
    )
    stored = yaml.safe_load(await cluster.kubectl("get", "-n", "listed", "experiment/listed", "-o", "yaml"))
    assert stored["status"] == status  # nothing was pruned
    return "listed"


@pytest.mark.parametrize("name", ["exp", "experiments", "experiment", "testbench"])
async def test_shows_readiness_and_the_last_run(cluster: LocalCluster, namespace: str, name: str) -> None:
    header, row = (await cluster.kubectl("get", "-n", namespace, name)).splitlines()
    assert header.split() == ["NAME", "AGENT", "READY", "REASON", "LAST", "RUN", "VERDICT", "AGE"]
    assert row.split()[:7] == ["listed", "weather-agent", "False", "TemplateMissing", "3h", "Failed", "17/20"]


async def test_an_experiment_is_no_workload(cluster: LocalCluster, namespace: str) -> None:
    assert "listed" not in await cluster.kubectl("get", "-n", namespace, "all")


async def test_kubectl_waits_for_a_condition(cluster: LocalCluster, namespace: str) -> None:
    await cluster.kubectl("wait", "-n", namespace, "exp/listed", "--for=condition=Ready=false", "--timeout=5s")


async def test_kubectl_explains_a_field(cluster: LocalCluster) -> None:
    assert "What has to happen: created," in await cluster.kubectl("explain", "experiment.spec.trigger.event")
