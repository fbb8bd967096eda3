"""A work queue as Kubernetes controllers have one: each key once, in order of arrival, never handled twice at a time.

A key that is added while it is handled is handled again afterwards. One whose handling fails comes back after a pause
of its own, so that it delays no other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

from telemetry import metrics

log = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)

_FIRST_PAUSE = 0.5
_MAX_PAUSE = 30.0


class WorkQueue(Generic[K]):
    """`handle` is called with one key at a time per worker; an exception of it is logged and means "again later"."""

    def __init__(self, handle: Callable[[K], Awaitable[None]], *, workers: int) -> None:
        self._handle, self._workers = handle, workers
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: dict[K, float] = {}  # since when (in the loop's time), the oldest first
        self._handling: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    def add(self, key: K) -> None:
        if key in self._handling:
            self._again.add(key)
        elif key not in self._queued:
            self._queued[key] = asyncio.get_running_loop().time()
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add `key` after that time. One timer a key: the newest replaces the one before."""
        self.forget(key)
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self._ring, key)

    def forget(self, key: K) -> None:
        """Take back an `add_after`."""
        if timer := self._timers.pop(key, None):
            timer.cancel()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            with metrics.QUEUE_DEPTH.of(lambda: len(self._queued)), metrics.QUEUE_OLDEST.of(self._oldest):
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(self._workers):
                        tasks.create_task(self._work())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def _oldest(self) -> float:
        """Return the seconds that the key which waits longest has waited."""
        now = asyncio.get_running_loop().time()
        return now - next(iter(self._queued.values()), now)

    def _ring(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            del self._queued[key]
            self._handling.add(key)
            try:
                await self._handle(key)
                self._failures.pop(key, None)
            except Exception as error:  # noqa: BLE001 - whatever one key does, the others go on
                self._retry(key, error)
            finally:
                self._handling.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _retry(self, key: K, error: Exception) -> None:
        metrics.QUEUE_RETRIES.inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _MAX_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        log.warning("again later", key=str(key), error=f"{type(error).__name__}: {error}", seconds=round(pause, 1))
        self.add_after(key, pause)
