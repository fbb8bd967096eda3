"""Experiments written for earlier versions of this API apply unchanged and mean what they meant."""

from __future__ import annotations

import json

import pytest
import yaml

from experiments.models import parse
from localcluster import LocalCluster

SCENARIOS = """
- name: Sailing
  steps:
    - input: Is there wind on Saturday?
      reference:
        response: About four Beaufort.
        toolCalls:
          - name: get_wind
            args: {place: Kiel, hours: [10, 12.5]}
        topics: [wind]
      customValues:
        user_id: 7
        Retrieved-Contexts: [Wind is strongest in the afternoon.]
      metrics:
        - metricName: ToolCallAccuracy
          threshold: 0
          parameters: {strict_order: true}
    - input: And on Sunday?
"""
WITH_SCENARIOS = f"""
apiVersion: testbench.agentic-layer.ai/v1alpha1
kind: Experiment
metadata:
  name: with-scenarios
spec:
  agentRef: {{name: sailing-agent, namespace: agents}}
  aiGatewayRef:
    apiVersion: runtime.agentic-layer.ai/v1alpha1
    kind: AiGateway
    name: gateway
    namespace: ai-gateway
  otlpEndpoint: http://otel.monitoring.svc.cluster.local:4318
  llmAsAJudgeModel: gemini-2.5-flash-lite
  defaultThreshold: 0.9
  scenarios: {json.dumps(yaml.safe_load(SCENARIOS))}
  trigger:
    enabled: true
"""
WITH_INLINE_DATASET = f"""
apiVersion: testbench.agentic-layer.ai/v1alpha1
kind: Experiment
metadata:
  name: with-inline-dataset
spec:
  agentRef: {{name: sailing-agent, namespace: agents}}
  aiGatewayRef: {{name: gateway, namespace: ai-gateway}}
  env:
    - name: OTEL_EXPORTER_OTLP_ENDPOINT
      valueFrom:
        configMapKeyRef: {{name: otel-config, key: OTEL_EXPORTER_OTLP_ENDPOINT}}
  dataset:
    inline:
      llmAsAJudgeModel: gemini-2.5-flash-lite
      defaultThreshold: 0.9
      scenarios: {json.dumps(yaml.safe_load(SCENARIOS))}
  trigger:
    enabled: true
    concurrencyPolicy: Allow
"""


@pytest.mark.parametrize("manifest", [WITH_SCENARIOS, WITH_INLINE_DATASET], ids=["scenarios", "inline dataset"])
async def test_applies_unchanged(cluster: LocalCluster, manifest: str) -> None:
    printed = await cluster.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest)
    stored, written = json.loads(printed)["spec"], yaml.safe_load(manifest)["spec"]
    trigger = {"event": "modified", "waitForRollout": {"enabled": True, "timeoutSeconds": 120}, **written["trigger"]}
    assert stored == {**written, "suspend": False, "defaultThreshold": 0.9, "trigger": trigger}


def test_both_evaluate_the_same() -> None:
    one, other = (parse(yaml.safe_load(manifest)).spec for manifest in (WITH_SCENARIOS, WITH_INLINE_DATASET))
    assert one.inline is not None
    assert other.inline is not None
    assert one.inline.scenarios == other.inline.scenarios
    assert one.judge_model == other.judge_model == "gemini-2.5-flash-lite"
    assert one.trigger is not None
    assert one.trigger.event == "modified"


async def test_an_event_of_another_tool_applies(cluster: LocalCluster) -> None:
    """Upstream took every word for the only event that it knew, so there are manifests with any of them."""
    manifest = WITH_SCENARIOS.replace("enabled: true", "enabled: true\n    event: on_push")
    printed = await cluster.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifest)
    assert json.loads(printed)["spec"]["trigger"]["event"] == "on_push"
