"""What client-side apply cannot keep its copy of, server-side apply takes; the page about Experiments says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcluster import KubectlError

PAGE = Path(__file__).parents[2] / "docs" / "experiment.md"


def experiment(kib):
    scenarios = [{"name": f"s{number}", "steps": [{"input": "x" * 16384}]} for number in range(kib // 16)]
    spec = {"agentRef": {"name": "weather-agent"}, "scenarios": scenarios}
    about = {"apiVersion": "testbench.agentic-layer.ai/v1alpha1", "kind": "Experiment", "metadata": {"name": "large"}}
    return json.dumps({**about, "spec": spec})


async def test_beyond_the_limit_of_annotations(cluster):
    dry = ("apply", "--dry-run=server", "-n", "default", "-f", "-")
    await cluster.kubectl(*dry, stdin=experiment(240))
    with pytest.raises(KubectlError, match=r"metadata\.annotations: Too long: may not be more than 262144 bytes"):
        await cluster.kubectl(*dry, stdin=experiment(256))
    await cluster.kubectl(*dry, "--server-side", stdin=experiment(896))


def test_the_page_tells_the_limit_of_client_side_apply():
    page = PAGE.read_text(encoding="utf-8")
    assert "256 KiB" in page
    assert "metadata.annotations: Too long" in page
    assert "kubectl apply --server-side" in page
