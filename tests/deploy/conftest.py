"""What `deploy/` builds, by the real kustomize."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import cache

import pytest
import yaml

from kube.objects import Object
from localcluster import LocalCluster
from localcluster.tools import tool
from support.clusters import DEPLOY, install_testkube


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Object]]:
    """`built("overlays/ha", "components/all-namespaces", namespace="there")`: all objects.

    What is said besides the first stands in a kustomization elsewhere that names it, as somebody's own would.
    """

    @cache
    def build(name: str, *components: str, **transformers: str) -> list[Object]:
        directory = DEPLOY / name
        if components or transformers:
            directory = tmp_path_factory.mktemp("kustomization")
            resources, *others = (os.path.relpath(DEPLOY / each, directory) for each in (name, *components))
            own = {"resources": [resources], "components": others, **transformers}
            (directory / "kustomization.yaml").write_text(yaml.safe_dump(own))
        done = subprocess.run([tool("kubectl"), "kustomize", directory], capture_output=True, text=True, check=True)
        return [obj for obj in yaml.safe_load_all(done.stdout) if obj]

    return build


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster
