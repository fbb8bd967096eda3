"""The readers of `benchmarks.live`, in a process of their own: how late each of them hears of each change.

What is changed carries the time of the change by the machine's monotonic clock, which all processes share. Besides the
readers of the api there is one watch of the API server itself: the floor below which no delay can be.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from array import array
from typing import Any
from urllib.parse import urlsplit

import uvloop

from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from kube.objects import Source

STAMP = "changed at {}"
_STAMPED = re.compile(rb"changed at (\d+)")


class Delays:
    """In milliseconds, of all readers together."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._found = array("d")
        self.complete = asyncio.Event()

    def hear(self, stamp: bytes) -> None:
        self._found.append((time.monotonic_ns() - int(stamp)) / 1e6)
        if len(self._found) >= self._expected:
            self.complete.set()

    def summary(self) -> dict[str, float]:
        cuts = statistics.quantiles(self._found, n=100)
        return {"count": len(self._found), "p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(self._found)}


async def main(url: str, readers: int, stalled: int, changes: int) -> dict[str, Any]:
    """Says `reading` when all have what there is; then waits until all have heard of all changes."""
    heard, floor = Delays(readers * changes), Delays(changes)
    ready = asyncio.Semaphore(0)
    async with await KubeClient.connect() as kube, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_watch(kube, floor))]
        running += [tasks.create_task(_read(url, heard, ready)) for _ in range(readers)]
        running += [tasks.create_task(_stall(url)) for _ in range(stalled)]
        for _ in range(readers):
            await ready.acquire()
        print("reading", flush=True)
        await heard.complete.wait()
        await floor.complete.wait()
        print("heard", flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # the parent looks at memory first
        for task in running:
            task.cancel()
    return {"readers": heard.summary(), "watch": floor.summary()}


async def _read(url: str, delays: Delays, ready: asyncio.Semaphore) -> None:
    reader, _ = await _connect(url)
    synced, rest = False, b""
    while chunk := await reader.read(2**18):
        whole, cut, rest = (rest + chunk).rpartition(b"\n\n")
        if synced:
            for stamp in _STAMPED.findall(whole + cut):
                delays.hear(stamp)
        elif b"event: synced" in whole:
            synced = True
            ready.release()


async def _stall(url: str) -> None:
    """Asks and never reads."""
    _, writer = await _connect(url)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host = urlsplit(url).hostname
    reader, writer = await asyncio.open_connection(host, urlsplit(url).port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return reader, writer


async def _watch(kube: KubeClient, delays: Delays) -> None:
    async with kube.watch(Source(EXPERIMENT), "", idle_seconds=600, server_seconds=600) as events:
        async for event in events:
            if event["type"] == "MODIFIED":
                delays.hear(_STAMPED.findall(json.dumps(event["object"]["status"]).encode())[0])


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(sys.argv[1], *map(int, sys.argv[2:5])))))
