"""Workers that die by SIGKILL in the middle of their work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterable
from pathlib import Path

from localcluster import LocalCluster

# Not beside this: it would find other modules than those of the service under their names.
_SCRIPT = Path(__file__).parents[1] / "crash" / "doomed_workers.py"


async def die(cluster: LocalCluster, points: Iterable[dict[str, str]]) -> None:
    """Run a worker for each point of death, as `doomed_workers.py` tells, until all of them have met it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, _SCRIPT), env={**os.environ, **cluster.env()}, stdin=PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(60):
            await process.communicate("\n".join(map(json.dumps, points)).encode())
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, "not all of them died"
