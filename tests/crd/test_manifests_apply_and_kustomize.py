"""What lies in `crds/` and `deploy/` is taken by `kubectl apply -f` as it is, and by kustomize from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from crds import experiment_crd
from localcluster import LocalCluster

ROOT = Path(__file__).parents[2]
PHASES = {"setup", "run", "evaluate", "publish", "visualize", "gate"}


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[..., Path]:
    """`overlay(directory, …)`: a kustomization that lies elsewhere, names `directory`, and has what else is given."""

    def write(directory: str, **others: Any) -> Path:
        resources = [os.path.relpath(ROOT / directory, tmp_path)]
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": resources, **others}))
        return tmp_path

    return write


async def kustomized(cluster: LocalCluster, overlay: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(await cluster.kubectl("kustomize", str(overlay))))


async def test_the_crd_applies_as_a_directory_and_as_text(cluster: LocalCluster) -> None:
    for arguments, stdin in ((["-f", str(ROOT / "crds")], None), (["-f", "-"], experiment_crd())):
        printed = await cluster.kubectl("apply", "--dry-run=server", "-o", "name", *arguments, stdin=stdin)
        assert printed.split() == [
            "customresourcedefinition.apiextensions.k8s.io/experiments.testbench.agentic-layer.ai"
        ]


async def test_the_crd_kustomizes(cluster: LocalCluster, overlay: Callable[..., Path]) -> None:
    assert await kustomized(cluster, overlay("crds")) == [yaml.safe_load(experiment_crd())]


async def test_the_phase_templates_apply_to_any_namespace(cluster: LocalCluster) -> None:
    await cluster.kubectl("create", "namespace", "phases")
    printed = await cluster.kubectl("apply", "-n", "phases", "-o", "name", "-f", str(ROOT / "deploy/testkube"))
    kind = "testworkflowtemplate.testworkflows.testkube.io"
    assert {*printed.split()} == {f"{kind}/{phase}-template" for phase in PHASES}


async def test_the_phase_templates_kustomize(cluster: LocalCluster, overlay: Callable[..., Path]) -> None:
    found = await kustomized(cluster, overlay("deploy/testkube"))
    assert {template["metadata"]["name"] for template in found} == {f"{phase}-template" for phase in PHASES}


async def test_the_image_of_the_phases_is_a_kustomize_image(
    cluster: LocalCluster, overlay: Callable[..., Path]
) -> None:
    """As for a registry of one's own: kustomize does not know by itself where a TestWorkflowTemplate has images."""
    name = "ghcr.io/agentic-layer/testbench/testworkflows"
    images = [{"name": name, "newName": "registry.example.com/phases", "newTag": "1.2.3"}]
    found = await kustomized(cluster, overlay("deploy/testkube", images=images))
    (used,) = {step["run"]["image"] for template in found for step in template["spec"]["steps"]}
    assert used == "registry.example.com/phases:1.2.3"


@pytest.mark.parametrize("sample", sorted((ROOT / "deploy/samples").glob("*.yaml")), ids=lambda path: path.stem)
async def test_each_sample_applies(cluster: LocalCluster, sample: Path) -> None:
    await cluster.kubectl("apply", "--dry-run=server", "-f", str(sample))
