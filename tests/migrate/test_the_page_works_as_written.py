"""docs/migration.md, word by word: every command on it, in its order, on a cluster with the Go operator."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from experiments.options import Options
from localcluster.tools import tool
from support.world import World

PAGE = Path(__file__).parents[2] / "docs" / "migration.md"
NAMESPACE, NAME = "testbench-operator-system", "operator-controller-manager"


@pytest.fixture
async def go_operator_deployed(cluster):
    container = {"name": "manager", "image": "ghcr.io/agentic-layer/testbench/operator:0.0.1"}
    template = {"metadata": {"labels": {"app": "go"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "go"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}
    await cluster.kubectl("create", "namespace", NAMESPACE)
    await cluster.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(deployment))
    yield
    await cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def shell(cluster):
    async def run(command):
        directories = [Path(sys.executable).parent, Path(tool("kubectl")).parent, os.environ["PATH"]]
        path = os.pathsep.join(map(str, directories))
        process = await asyncio.create_subprocess_exec(
            *("bash", "-o", "pipefail", "-c", command),
            env={**os.environ, **cluster.env(), "PATH": path},
            stdout=PIPE,
            stderr=STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    return run


def commands(step):
    return re.findall(r"^    \$ (.*)$", step, re.MULTILINE)


@pytest.mark.usefixtures("go_operator_deployed")
async def test_the_migration_page_works_from_the_first_step_to_the_last(world: World, go_operator, serve, shell):
    introduction, *before, start, check, removal = map(commands, PAGE.read_text().split("\n## "))
    assert not introduction
    old = await go_operator.make_beside(await world.create("demo"))
    old += await go_operator.make_in_testkube(await world.create("second"))

    said = [await shell(command) for step in before for command in step]
    assert said[-2].count("  replace ") == 6
    assert said[-2].count("  delete ") == 1
    assert said[-1].endswith("Marked; the service does the rest as soon as it runs.\n")
    async with serve(Options(watches_all=True)):
        for name in ("demo", "second"):
            await world.reported(name)
        assert await shell(start[0])
        await world.until(lambda: _left(world, old), lambda left: left == [])
        assert await shell(check[0]) == "Nothing to do.\n"
    assert f'deployment.apps "{NAME}" deleted' in await shell(removal[0])
    for name in ("demo", "second"):
        assert all(await world.children(name))


async def _left(world: World, refs):
    return [ref for ref in refs if await world.get(ref)]
