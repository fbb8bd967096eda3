"""`python -m benchmarks.reading`: what it takes to answer texts that are small to send and large to read.

Each is rendered by a process of its own, and planned by an application without a cluster. What counts is CPU, memory
beyond that for a small Experiment, and the longest time on the CPU between two turns of the event loop.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import httpx
import uvloop

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from tests.support.amplified import READ, REFUSED, with_value

_RENDER = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
command = [sys.executable, "-m", "experiment_operator", "render", sys.argv[1]]
_, _, used = os.wait4(os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet), 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


async def main() -> None:
    usual = _rendered(with_value("0"))
    print("| text | bytes | `render` | memory | `POST /plan` | without a turn |\n|---|---|---|---|---|---|")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(_app()), base_url="http://api", timeout=60) as api:
        await _planned(api, with_value("0"))
        gc.collect()
        gc.freeze()  # as the api does once its caches are filled
        for name, text in _texts():
            seconds, megabytes = _rendered(text)
            planned, longest = await _planned(api, text)
            figures = f"{seconds - usual[0]:.2f} s | {max(megabytes - usual[1], 0):.0f} MB | {planned:.2f} s"
            print(f"| {name} | {len(text.encode()):,} | {figures} | {1000 * longest:.0f} ms |")


def _texts() -> Iterator[tuple[str, str]]:
    yield from ((name, make()) for name, (make, _) in REFUSED.items())
    yield from ((name, make()) for name, make in READ.items())


def _rendered(text: str) -> tuple[float, float]:
    """Seconds of CPU, and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "text.yaml"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", _RENDER, file], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


async def _planned(api: httpx.AsyncClient, text: str) -> tuple[float, float]:
    """Seconds of CPU, in all and the most between two turns."""
    longest, begin = 0.0, time.process_time()

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.process_time() - before)

    watching = asyncio.create_task(watch())
    await api.post("/api/v1/plan", content=text.encode())
    watching.cancel()
    return time.process_time() - begin, longest


def _app() -> object:
    """The application on caches that are empty and a Temporal that is not asked."""
    caches = MagicMock(synced=True)
    caches.get.return_value, caches.objects.return_value = None, []
    return create_app(caches, MagicMock(), Everybody(), ApiConfig(temporal_ui_url="", task_queue="reading"))


if __name__ == "__main__":
    uvloop.run(main())
