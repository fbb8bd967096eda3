"""What `deploy/` builds, by the real kustomize, and a cluster of its own to apply it to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from kube.objects import Object
from localcluster import LocalCluster
from localcluster.tools import tool

_DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Object]]:
    """`built("overlays/ha", "components/all-namespaces", namespace="there")`: all objects.

    What is said besides the first stands in a kustomization elsewhere that names it, as somebody's own would.
    """

    @cache
    def build(name: str, *components: str, **transformers: str) -> list[Object]:
        directory = _DEPLOY / name
        if components or transformers:
            directory = tmp_path_factory.mktemp("kustomization")
            resources, *others = (os.path.relpath(_DEPLOY / each, directory) for each in (name, *components))
            own = {"resources": [resources], "components": others, **transformers}
            (directory / "kustomization.yaml").write_text(yaml.safe_dump(own))
        done = subprocess.run([tool("kubectl"), "kustomize", directory], capture_output=True, text=True, check=True)
        return [obj for obj in yaml.safe_load_all(done.stdout) if obj]

    return build


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A cluster of its own, since a webhook's configuration counts for all that anybody applies."""
    async with LocalCluster.start() as running:
        await running.kubectl("create", "namespace", "testkube")
        yield running
