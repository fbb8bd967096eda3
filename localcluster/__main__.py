"""`python -m localcluster`: a control plane and Temporal with the bundled CRDs, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from localcluster import LocalCluster, LocalClusterError
from localcluster.tools import tool


async def _run(data_dir: Path | None) -> None:
    task = asyncio.create_task(_serve(data_dir))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _serve(data_dir: Path | None) -> None:
    async with LocalCluster.start(data_dir) as cluster:
        print(f"Kubernetes   {cluster.api_url}")
        print(f"Temporal     {cluster.temporal_address}")
        print(f"Temporal UI  {cluster.temporal_ui_url}")
        print(f"kubectl      {tool('kubectl')} --kubeconfig {cluster.kubeconfig} get crds")
        print("Ctrl-C ends it.", flush=True)
        await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localcluster", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where objects and logs are kept (default: nothing is kept)")
    try:
        asyncio.run(_run(parser.parse_args().data_dir))
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
