"""`dev` runs until it is told to end, and .local/env is there exactly while it is ready."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest

from localcluster.tools import tool


@pytest.fixture
def env_file(tmp_path):
    return tmp_path / "here" / ".local" / "env"


async def _sourced(env_file, line):
    """What `line` prints in a shell that has read the file."""
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", f"set -a; . '{env_file}'; {line}"),
        env={"PATH": f"{tool('kubectl').parent}{os.pathsep}{os.environ['PATH']}"},
        cwd=env_file.parents[1],  # where kubectl, without a home, keeps its cache
        stdout=asyncio.subprocess.PIPE,
    )
    return (await shell.communicate())[0].decode()


async def test_a_script_finds_everything_and_sigterm_ends_it(start, env_file):
    env_file.parent.mkdir()
    env_file.write_text("API_URL=http://127.0.0.1:1\n")  # of a stack that was killed
    async with start("dev") as dev:
        await dev.says("Starting etcd")
        assert not env_file.exists()
        await dev.until(env_file.exists)
        ready_now = "kubectl get exp -A -o jsonpath='{.items[*].status.conditions[?(@.type==\"Ready\")].status}'"
        assert await _sourced(env_file, ready_now) == "True"
        api, ui, temporal = (await _sourced(env_file, "echo $API_URL $TEMPORAL_UI_URL $TEMPORAL_ADDRESS")).split()
        async with httpx.AsyncClient(trust_env=False) as http:
            items = (await http.get(f"{api}/api/v1/experiments")).json()["items"]
            assert [(item["namespace"], item["name"]) for item in items] == [("sample-agents", "weather")]
            assert (await http.get(ui)).is_success
        testkube = (await _sourced(env_file, "echo $TESTKUBE_API_URL")).strip()
        await dev.says(f"{testkube}/v1, a simulation: no agent is asked, and scores are made up")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{testkube}/v1/info")).json()["version"] == "simulation"
        for name in ("NO_PROXY", "no_proxy"):  # most programs would go through a proxy even here
            assert "127.0.0.1" in (await _sourced(env_file, f"echo ${name}"))
        host, _, port = temporal.partition(":")
        (await asyncio.open_connection(host, int(port)))[1].close()

        async with start("dev") as second:
            assert await second.ends() == 1
            assert "a stack runs in this directory already" in second.log
        assert env_file.exists()

        dev.signal(signal.SIGTERM)
        assert await dev.ends() == 0
        assert not env_file.exists()
        assert not await dev.processes()


@pytest.mark.parametrize(
    ("name", "part"), [("service", "experiment_operator all"), ("testkube", "localcluster.testkube")]
)
async def test_when_one_process_dies_all_of_it_ends(start, env_file, name, part):
    async with start("dev") as dev:
        await dev.until(env_file.exists)
        os.kill(await dev.pid_of(part), signal.SIGKILL)
        assert await dev.ends() == 1
        assert f"error: {name} ended with exit code 137. The end of" in dev.log
        assert f"{name}.log:\n    " in dev.log
        assert not env_file.exists()
        assert not await dev.processes()
