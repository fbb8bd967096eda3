"""The step `install` of docker-compose.yml brings a new cluster up, and later respects what was done to the sample."""

from __future__ import annotations

import pytest

from experiment_operator.local import compose
from experiment_operator.resources import TEMPLATES
from localcluster import LocalCluster

# It starts clusters: what still runs for another folder ends.
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(scope="module")
async def empty_cluster():
    """Of its own: the phase templates would be in the way of other tests."""
    async with LocalCluster.start() as cluster:
        yield cluster


@pytest.fixture
def as_in_the_container(empty_cluster, monkeypatch):
    monkeypatch.setattr(compose, "_KUBECONFIG", empty_cluster.kubeconfig)


@pytest.mark.usefixtures("as_in_the_container")
async def test_the_step_install_makes_the_sample_and_respects_its_deletion(empty_cluster):
    async def names(kind, namespace):
        return (await empty_cluster.kubectl("get", kind, "-n", namespace, "-o", "name")).split()

    phases = [*TEMPLATES.glob("*-template.yaml")]
    await compose.install()
    assert len(await names("testworkflowtemplates", "testkube")) == len(phases)
    assert await names("experiments", "sample-agents") == ["experiment.testbench.agentic-layer.ai/weather"]

    await empty_cluster.kubectl("delete", "exp", "weather", "-n", "sample-agents")
    await empty_cluster.kubectl("delete", "testworkflowtemplate", "run-template", "-n", "testkube")
    await compose.install()
    assert len(await names("testworkflowtemplates", "testkube")) == len(phases)
    assert await names("experiments", "sample-agents") == []
