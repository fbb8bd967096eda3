"""How what somebody looks at runs until it has ended, or until a signal: `demo`, `dev`, `python -m localcluster`."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from localcluster.errors import LocalClusterError


def run(work: Coroutine[Any, Any, None]) -> int:
    """Run `work` and return the exit code: 0, 1 after a failure that it prints, or 128 + the signal that ended it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # whoever reads this through a pipe wants to follow
    try:
        return asyncio.run(_run_until_signal(work))
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


async def _run_until_signal(work: Coroutine[Any, Any, None]) -> int:
    """Cancel `work` at the first signal; any other comes while it cleans up, and must not keep it from that."""
    task = asyncio.create_task(work)
    told: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if not told:
            task.cancel()
        told.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        return 128 + told[0]
    return 0
