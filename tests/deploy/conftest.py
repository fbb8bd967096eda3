"""What `deploy/` builds, by the real kustomize, and a cluster of its own to apply it to, or to run it on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
import yaml

from kube.objects import Object
from localcluster import LocalCluster
from localcluster.tools import tool
from support.clusters import DEPLOY, install_testkube
from support.installation import Installation
from support.world import World


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
        return [obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj]

    return build


@pytest.fixture(scope="session")
async def cluster(cluster: LocalCluster) -> LocalCluster:
    await install_testkube(cluster)
    return cluster


@pytest.fixture
def installation(
    cluster: LocalCluster, world: World, built: Callable[..., list[Object]], tmp_path: Path
) -> Callable[..., AbstractAsyncContextManager[World]]:
    """`async with installation("overlays/ha", namespace="there") as world:` while all of it runs.

    With `testkube="evaluations"` that is Testkube's namespace, and that of the Roles there.
    """

    @asynccontextmanager
    async def install(*names: str, testkube: str = "testkube", **transformers: str) -> AsyncIterator[World]:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": testkube}}
        await cluster.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
        await cluster.kubectl("apply", "-n", testkube, "-f", str(DEPLOY / "testkube"))
        objects = json.loads(json.dumps(built(*names, **transformers)))
        for obj in objects:
            if obj["metadata"].get("namespace") == "testkube":
                obj["metadata"]["namespace"] = testkube
            if obj["kind"] == "ConfigMap":
                obj["data"]["TESTKUBE_NAMESPACE"] = testkube
        installed = Installation(cluster, objects, tmp_path)
        await installed.apply()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(installed.remove)
            await installed.run(stack)
            yield world

    return install
