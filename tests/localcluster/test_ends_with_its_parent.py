"""Nothing of a cluster outlives the process that started it, however that ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from localcluster.processes import Process

# It starts clusters: what still runs for another folder ends.
pytestmark = pytest.mark.usefixtures("folder")

RUN = """
import asyncio, pathlib, sys
from localcluster import LocalCluster

async def run(directory):
    async with LocalCluster.start(directory, temporal_db=directory / "temporal.db"):
        print("running", flush=True)
        await asyncio.Event().wait()

asyncio.run(run(pathlib.Path(sys.argv[1])))
"""


async def running(directory: Path) -> str:
    """The processes that have `directory` in their command line, as every part of a cluster with its data there has."""
    listing = ("ps", "-axww", "-o", "stat=,pid=,command=")
    ps = await asyncio.create_subprocess_exec(*listing, stdout=asyncio.subprocess.PIPE)
    lines = (await ps.communicate())[0].decode().splitlines()
    return "\n".join(line for line in lines if str(directory) in line and not line.startswith("Z"))


async def all_gone(directory: Path) -> None:
    async with asyncio.timeout(20):
        while True:
            if not await running(directory):
                return
            await asyncio.sleep(0.05)


async def start(*arguments: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)


async def test_a_parent_killed_while_all_runs_leaves_no_process(tmp_path):
    parent = await start("-c", RUN, tmp_path)
    assert await parent.stdout.readline() == b"running\n"
    parts = await running(tmp_path)
    for part in ("etcd", "kube-apiserver", "kube-controller-manager", "temporal"):
        assert part in parts
    parent.kill()
    await parent.communicate()
    await all_gone(tmp_path)


async def test_a_parent_killed_while_it_starts_leaves_no_process(tmp_path):
    parent = await start("-m", "localcluster", "--data-dir", tmp_path)
    async with asyncio.timeout(20):
        while True:
            if "kube-apiserver" in await running(tmp_path):
                break
            await asyncio.sleep(0.02)
    parent.kill()
    await parent.communicate()
    await all_gone(tmp_path)


async def test_what_a_part_started_itself_ends_with_it(tmp_path):
    waits = f"sleep 1000 # {tmp_path}"
    part = Process.start(["sh", "-c", f"sh -c '{waits}' & echo started; wait"], tmp_path / "part.log")

    async def started() -> bool:
        return "started" in part.log.read_text()

    await part.until(started)
    await part.stop()
    await all_gone(tmp_path)
