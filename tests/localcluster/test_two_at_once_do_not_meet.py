"""Clusters that start at the same moment share nothing; one of them is started by `python -m localcluster` here."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys

import pytest

from localcluster import KubectlError, LocalCluster, LocalClusterError, processes
from localcluster.binaries import ensure
from localcluster.control_plane import ControlPlane
from localcluster.temporal import TemporalServer

# It starts clusters: what still runs for another folder ends.
pytestmark = pytest.mark.usefixtures("folder")


async def test_two_clusters_started_at_once_do_not_meet_and_sigterm_ends_the_command(tmp_path):
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "localcluster", "--data-dir", tmp_path), stdout=asyncio.subprocess.PIPE
    )
    async with LocalCluster.start() as one:
        said = (await command.stdout.readuntil(b"Ctrl-C ends it.\n")).decode()
        other = ("--kubeconfig", str(tmp_path / "kubeconfig"))
        assert " ".join(other) in said

        ports = re.findall(r":(\d+)", f"{one.api_url} {one.temporal_address} {one.temporal_ui_url} {said}")
        assert len(set(ports)) == 6
        await one.kubectl("create", "namespace", "only-here")
        assert "only-here" not in await one.kubectl("get", "namespaces", *other)
        with pytest.raises(KubectlError, match="certificate"):
            await one.kubectl("get", "namespaces", *other, "--server", one.api_url)

        with pytest.raises(LocalClusterError, match="in use by another local cluster"):
            async with LocalCluster.start(tmp_path):
                pass

        command.send_signal(signal.SIGTERM)
        await command.communicate()
        assert command.returncode == 0


@pytest.fixture
def offer(monkeypatch):
    """Which of the ports that are given out as free were then taken by somebody who was faster, one flag each."""
    free_port = processes.free_port
    flags = []
    with socket.socket() as faster:
        faster.bind(("127.0.0.1", 0))
        taken = faster.getsockname()[1]
        monkeypatch.setattr(processes, "free_port", lambda: taken if flags and flags.pop(0) else free_port())
        yield lambda *were_taken: flags.extend(were_taken)


async def test_another_port_is_used_where_somebody_else_was_faster(tmp_path, offer):
    temporal = TemporalServer(tmp_path, None)
    offer(True)
    await temporal.start()
    await temporal.stop()

    control_plane = ControlPlane(tmp_path, await ensure())
    etcd, apiserver = (True, False), (True,)
    offer(*etcd, False, False, *apiserver)
    await control_plane.start()
    await control_plane.stop()
