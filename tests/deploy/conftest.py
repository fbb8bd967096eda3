"""What `deploy/` builds, by the real kustomize, and a cluster of its own to apply it to."""

from __future__ import annotations

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
def built() -> Callable[[str], list[Object]]:
    """`built("overlays/ha")`: all objects."""

    @cache
    def build(name: str) -> list[Object]:
        done = subprocess.run(
            [tool("kubectl"), "kustomize", _DEPLOY / name], capture_output=True, text=True, check=True
        )
        return [obj for obj in yaml.safe_load_all(done.stdout) if obj]

    return build


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A cluster of its own, since a webhook's configuration counts for all that anybody applies."""
    async with LocalCluster.start() as running:
        await running.kubectl("create", "namespace", "testkube")
        yield running
