"""The kinds that an Experiment has to do with: itself, Testkube's, and the agent runtime's."""

from __future__ import annotations

from kube.objects import Resource

GROUP = "testbench.agentic-layer.ai"
EXPERIMENT = Resource(f"{GROUP}/v1alpha1", "Experiment", "experiments")
TEST_WORKFLOW = Resource("testworkflows.testkube.io/v1", "TestWorkflow", "testworkflows")
TEST_WORKFLOW_TEMPLATE = Resource("testworkflows.testkube.io/v1", "TestWorkflowTemplate", "testworkflowtemplates")
TEST_TRIGGER = Resource("tests.testkube.io/v1", "TestTrigger", "testtriggers")
AGENT = Resource("runtime.agentic-layer.ai/v1alpha1", "Agent", "agents")
AI_GATEWAY = Resource("runtime.agentic-layer.ai/v1alpha1", "AiGateway", "aigateways")
