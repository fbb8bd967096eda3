"""What the readers of `endpoints` are told: changes of Experiments, from the caches, and of runs, from Temporal.

One broadcast serves all readers of the process: each takes from the buffer what it has not had, and nothing is queued
for anybody. While nobody reads, nothing is kept and nobody is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from api.events.buffer import EventBuffer, frame
from api.events.run_poller import RunPoller
from api.experiments.schemas import summary
from api.http.etag import Stale, stale
from api.http.problems import TemporalUnavailable
from api.reconciliations.schemas import Reconciliation
from api.reconciliations.visibility import Runs
from experiments.models import Part
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.objects import Object, ObjectRef, ref_of
from kube.reflector import Change

log = structlog.get_logger(__name__)

# Waking a reader costs about a third of this: however many read, most of the process's time is for others.
_NOTIFY_SECONDS_PER_READER = 0.00025
_POLL_SECONDS = 1.0
_MAX_POLL_SECONDS = 10.0
# A reader that was cut off finds its place again, also where it was the only one.
_IDLE_SECONDS = 60.0


class Gaps(Part):
    """What cannot be told at present: `experiments` while the Kubernetes API server, `runs` while Temporal is away.

    What has happened meanwhile is told once they are back.
    """

    experiments: Stale | None = None
    runs: str | None = None


class Broadcast:
    """Needs `observe` to be called with every change. Belongs to one event loop."""

    def __init__(self, caches: Caches, runs: Runs) -> None:
        self.closed = False
        self.readers = 0
        self._caches, self._runs = caches, runs
        self.buffer = EventBuffer()
        self._summaries: dict[ObjectRef, tuple[str, bytes]] = {}
        self._gaps = Gaps()
        self._news = asyncio.Event()
        self._notified_at = 0.0
        self._notification: asyncio.TimerHandle | None = None
        self._following: asyncio.Task[None] | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count one more reader, for whom everything is kept and followed."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    def close(self) -> None:
        """End all streams at once."""
        self.closed = True
        if self._following:
            self._following.cancel()
        self._notify_readers()

    async def wait(self, seconds: float) -> None:
        """Return when there may be something new, and after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def experiments(self) -> list[ObjectRef]:
        """List those that there are now."""
        return [ref_of(EXPERIMENT, obj) for obj in self._caches.objects(EXPERIMENT)]

    def present(self, ref: ObjectRef) -> bytes:
        """Write `added` with the Experiment as it is now; nothing where it has gone, which is an event of its own."""
        obj = self._caches.get(ref)
        return frame("added", self._summary(ref, obj)) if obj else b""

    def gaps(self) -> bytes:
        """Write what cannot be told at present; nothing while everything is."""
        return frame("stale", _json(self._gaps)) if self._gaps != Gaps() else b""

    def observe(self, change: Change) -> None:
        """Take in a change of the caches, of whatever object."""
        ref, old, new = change.ref, change.old, change.new
        if self._following is None or ref is None or ref.resource != EXPERIMENT:
            return
        _, before = self._summaries.get(ref, ("", b""))
        if old and (new is None or old["metadata"]["uid"] != new["metadata"]["uid"]):
            self._tell(ref.namespace, ref.name, "deleted", before or self._summary(ref, old))
            self._summaries.pop(ref, None)
            old = None
        if new and (after := self._summary(ref, new)) != before:  # what no summary shows is no news
            self._tell(ref.namespace, ref.name, "changed" if old else "added", after)

    def _summary(self, ref: ObjectRef, obj: Object) -> bytes:
        version = obj["metadata"]["resourceVersion"]
        known, data = self._summaries.get(ref, ("", b""))
        if known != version:
            data = _json(summary(obj, self._runs))
            self._summaries[ref] = (version, data)
        return data

    def _tell(self, namespace: str, name: str, event: str, data: bytes) -> None:
        self.buffer.append(namespace, name, event, data)
        if self._notification is None:
            loop = asyncio.get_running_loop()
            self._notification = loop.call_at(
                self._notified_at + self.readers * _NOTIFY_SECONDS_PER_READER, self._notify_readers
            )

    def _notify_readers(self) -> None:
        self._notified_at, self._notification = asyncio.get_running_loop().time(), None
        self._news.set()
        self._news = asyncio.Event()

    async def _follow(self) -> None:
        """Poll for runs until nobody has read for a while."""
        poller, pause, deserted = RunPoller(self._runs), _POLL_SECONDS, 0.0
        while deserted < _IDLE_SECONDS:
            away = await self._poll(poller)
            self._tell_gaps(away)
            pause = min(2 * pause, _MAX_POLL_SECONDS) if away else _POLL_SECONDS
            await asyncio.sleep(pause)
            deserted = 0.0 if self.readers else deserted + pause
        self.buffer, self._gaps, self._following = EventBuffer(), Gaps(), None
        self._summaries.clear()

    async def _poll(self, poller: RunPoller) -> str | None:
        """Tell of new runs. Returns why it cannot."""
        try:
            found, complete = await poller.poll()
        except TemporalUnavailable as error:
            return str(error)
        except Exception:  # the Experiments go on
            log.exception("runs cannot be followed")
            return "A defect of this service; its log has the details."
        if not complete:
            log.warning("more runs than one poll can take in: all readers begin anew")
            self.buffer = EventBuffer()
        for run in found:
            if run.namespace:
                self._tell(run.namespace, run.name, *run_event(run))
        return None

    def _tell_gaps(self, runs: str | None) -> None:
        gaps = Gaps(experiments=stale(self._caches, EXPERIMENT), runs=runs)
        if gaps != self._gaps:
            self._gaps = gaps
            self._tell("", "", "stale", _json(gaps))


def run_event(run: Reconciliation) -> tuple[str, bytes]:
    """Name the event of a run, and write its data."""
    return "started" if run.status == "Running" else "ended", _json(run)


def _json(data: Part) -> bytes:
    return data.model_dump_json(by_alias=True).encode()
