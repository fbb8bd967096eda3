"""`LocalCluster`: a real control plane and a real Temporal on this machine, for tests, `make dev` and `make demo`.

Composes `control_plane` and `temporal`, gives them a directory, and ends them. It knows no Experiment and installs only
the CRDs of the systems around this project (`crds/`), which stand in for Testkube and the agent runtime.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import filelock

from localcluster import binaries
from localcluster.control_plane import ControlPlane
from localcluster.errors import KubectlError, LocalClusterError
from localcluster.temporal import TemporalServer
from localcluster.tools import tool
from proxies.environment import without_proxy_to_this_machine

_CRDS = Path(__file__).with_name("crds")


class LocalCluster:
    """A running cluster: `async with LocalCluster.start() as cluster`.

    What it does itself is below; `install`, `kubeconfig_for`, `stop_apiserver` and `start_apiserver` are those of
    `ControlPlane`, `stop_temporal` and `start_temporal` those of `TemporalServer`.
    """

    def __init__(self, directory: Path, control_plane: ControlPlane, temporal: TemporalServer) -> None:
        self._directory = directory
        self._control_plane = control_plane
        self._temporal = temporal
        self.install = control_plane.install
        self.kubeconfig_for = control_plane.kubeconfig_for
        self.stop_apiserver = control_plane.stop_apiserver
        self.start_apiserver = control_plane.start_apiserver
        self.stop_temporal = temporal.stop
        self.start_temporal = temporal.restart

    @classmethod
    @asynccontextmanager
    async def start(
        cls, data_dir: Path | None = None, *, temporal_db: Path | None = None
    ) -> AsyncIterator[LocalCluster]:
        """Run a cluster with the bundled CRDs, which ends with the context, or with this process however that ends.

        Kubernetes' objects and all logs are in `data_dir`, where a later start finds them again; without it, in a
        temporary directory. Temporal forgets everything unless it has a file, `temporal_db`. Any number of clusters can
        run at once, each in a directory of its own. Raises LocalClusterError with what to do.
        """
        found = await binaries.ensure()
        async with AsyncExitStack() as stack:
            directory = _directory(stack, data_dir)
            control_plane = ControlPlane(directory, found)
            temporal = TemporalServer(directory, temporal_db)
            stack.push_async_callback(control_plane.stop)
            stack.push_async_callback(temporal.stop)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(temporal.start())
                    await control_plane.start()
                    await control_plane.install(_CRDS)
            except ExceptionGroup as group:
                raise group.exceptions[0] from None
            yield cls(directory, control_plane, temporal)

    @property
    def kubeconfig(self) -> Path:
        """Of a cluster administrator."""
        return self._control_plane.kubeconfig

    @property
    def api_url(self) -> str:
        """Of the API server."""
        return self._control_plane.url

    @property
    def temporal_address(self) -> str:
        """Host and port."""
        return self._temporal.address

    @property
    def temporal_ui_url(self) -> str:
        return self._temporal.ui_url

    def env(self) -> dict[str, str]:
        """Return what a process needs in its environment to use this cluster."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_UI_URL": self.temporal_ui_url,
            **without_proxy_to_this_machine(),
        }

    async def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator and return its standard output. Raises KubectlError."""
        # What kubectl has cached about another cluster at the same address must not be taken for this one.
        cache = {"KUBECACHEDIR": str(self._directory / "kubectl-cache")}
        process = await asyncio.create_subprocess_exec(
            tool("kubectl"),
            *args,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), **cache},
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate(None if stdin is None else stdin.encode())
        finally:
            if process.returncode is None:  # cancelled: it would go on asking an API server that is going away
                process.kill()
                await process.wait()
        if process.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {err.decode().strip()}")
        return out.decode()


def _directory(stack: AsyncExitStack, data_dir: Path | None) -> Path:
    """Take a temporary directory, or `data_dir` once nobody else uses it; it is given back when `stack` ends."""
    if data_dir is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localcluster-")))
    directory = data_dir.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        stack.enter_context(filelock.FileLock(directory / "lock", timeout=0))
    except filelock.Timeout:
        raise LocalClusterError(f"{directory} is in use by another local cluster: choose another directory") from None
    return directory
