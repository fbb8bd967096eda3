"""A work queue as Kubernetes controllers have one: each Experiment once, and never handled twice at a time.

The more urgent go first. Among those of one urgency, namespaces take turns, and those of a namespace come in order of
arrival: who has many waits for them, and others do not. One that is added while it is handled is handled again
afterwards. One whose handling fails comes back after a pause of its own, so that it delays no other.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

import structlog

from experiments.contract import Urgency
from kube.objects import ObjectRef
from telemetry import metrics

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.5
_MAX_PAUSE = 30.0


class WorkQueue:
    """`handle` is called with one Experiment at a time per worker; an exception of it is logged, and means "later".

    What has an urgency that is `held` stays in the queue, until `look_again` finds that it is not held any more.
    """

    def __init__(
        self,
        handle: Callable[[ObjectRef], Awaitable[None]],
        *,
        workers: int,
        held: Callable[[Urgency], bool] = lambda _: False,
    ) -> None:
        self._handle, self._workers, self._held = handle, workers, held
        self._queued: dict[ObjectRef, tuple[Urgency, float]] = {}  # since when, in the loop's time
        self._turns: dict[Urgency, OrderedDict[str, deque[ObjectRef]]] = {each: OrderedDict() for each in Urgency}
        self._handling: dict[ObjectRef, Urgency] = {}
        self._again: dict[ObjectRef, Urgency] = {}
        self._timers: dict[ObjectRef, asyncio.TimerHandle] = {}
        self._failures: dict[ObjectRef, int] = {}
        self._news = asyncio.Semaphore(0)

    def add(self, key: ObjectRef, urgency: Urgency = Urgency.CHANGED) -> None:
        if key in self._handling:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        known, since = self._queued.get(key, (None, asyncio.get_running_loop().time()))
        if known is None or urgency < known:
            self._queued[key] = urgency, since
            self._turns[urgency].setdefault(key.namespace, deque()).append(key)
            self.look_again()

    def add_after(self, key: ObjectRef, seconds: float, urgency: Urgency = Urgency.REPAIR) -> None:
        """Add `key` after that time. One timer a key: the newest replaces the one before."""
        self.forget(key)
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self._ring, key, urgency)

    def add_within(self, key: ObjectRef, seconds: float) -> None:
        """Add `key` after that time, unless a timer adds it earlier."""
        timer = self._timers.get(key)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + seconds:
            self.add_after(key, seconds)

    def forget(self, key: ObjectRef) -> None:
        """Take back an `add_after`."""
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def urgency(self, key: ObjectRef) -> Urgency:
        """Tell with which urgency a key came that is being handled."""
        return self._handling[key]

    def look_again(self) -> None:
        """Go on with what was held."""
        if self._news.locked():
            self._news.release()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            with metrics.QUEUE_DEPTH.of(lambda: len(self._queued)), metrics.QUEUE_OLDEST.of(self._oldest):
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(self._workers):
                        tasks.create_task(self._work())
        finally:
            for key in [*self._timers]:
                self.forget(key)

    def _oldest(self) -> float:
        """Return the seconds that the key which waits longest has waited.

        What follows something else counts only while it is not held: it waits for people's changes, as it should.
        """
        now = asyncio.get_running_loop().time()
        left_out = Urgency.FOLLOW if self._held(Urgency.FOLLOW) else None
        counted = (since for urgency, since in self._queued.values() if urgency != left_out)
        return now - min(counted, default=now)

    def _ring(self, key: ObjectRef, urgency: Urgency) -> None:
        self._timers.pop(key, None)
        self.add(key, urgency)

    async def _work(self) -> None:
        while True:
            await self._news.acquire()
            while (next_ := self._next()) is not None:
                self.look_again()  # and so wake another worker, as long as there is something to do
                await self._work_on(*next_)

    def _next(self) -> tuple[ObjectRef, Urgency] | None:
        """Take the one whose turn it is; None where there is none, or all are held."""
        for urgency, namespaces in self._turns.items():
            while namespaces and not self._held(urgency):
                namespace, keys = namespaces.popitem(last=False)
                key = keys.popleft()
                if keys:
                    namespaces[namespace] = keys
                if self._queued.get(key, (None, 0.0))[0] == urgency:  # else it was taken with a greater urgency
                    del self._queued[key]
                    return key, urgency
        return None

    async def _work_on(self, key: ObjectRef, urgency: Urgency) -> None:
        self._handling[key] = urgency
        try:
            await self._handle(key)
            self._failures.pop(key, None)
        except Exception as error:  # noqa: BLE001 - whatever one key does, the others go on
            self._retry(key, urgency, error)
        finally:
            del self._handling[key]
        if (again := self._again.pop(key, None)) is not None:
            self.add(key, again)

    def _retry(self, key: ObjectRef, urgency: Urgency, error: Exception) -> None:
        metrics.QUEUE_RETRIES.inc()
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _MAX_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        log.warning("again later", key=str(key), error=f"{type(error).__name__}: {error}", seconds=round(pause, 1))
        self.add_after(key, pause, urgency)
