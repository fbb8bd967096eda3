"""`python -m localcluster`: a control plane and Temporal with the bundled CRDs, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from localcluster import LocalCluster
from localcluster.foreground import run
from localcluster.tools import tool


async def _serve(data_dir: Path | None) -> None:
    async with LocalCluster.start(data_dir) as cluster:
        print(f"Kubernetes   {cluster.api_url}")
        print(f"Temporal     {cluster.temporal_address}")
        print(f"Temporal UI  {cluster.temporal_ui_url}")
        print(f"kubectl      {tool('kubectl')} --kubeconfig {cluster.kubeconfig} get crds")
        print("Ctrl-C ends it.")
        await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localcluster", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where objects and logs are kept (default: nothing is kept)")
    code = run(_serve(parser.parse_args().data_dir))
    return 0 if code > 128 else code


if __name__ == "__main__":
    sys.exit(main())
