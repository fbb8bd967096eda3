"""What the readers of `endpoints` are told: changes of Experiments, from the caches, and of runs, from Temporal.

One broadcast serves all readers of the process: each takes from the ring what it has not had, and nothing is queued for
anybody. While nobody reads, nothing is kept and nobody is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from api.events.buffer import Position, Ring, Told, frame
from api.events.run_poller import NewRuns
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
_SECONDS_PER_READER = 0.00025
_SECONDS_BETWEEN_LOOKS = 1.0
_MOST_SECONDS_BETWEEN_LOOKS = 10.0
# A reader that was cut off finds its place again, also where it was the only one.
_SECONDS_KEPT_FOR_NOBODY = 60.0


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
        self._ring = Ring()
        self._summaries: dict[ObjectRef, tuple[str, bytes]] = {}
        self._gaps = Gaps()
        self._bell = asyncio.Event()
        self._rung_at = 0.0
        self._to_ring: asyncio.TimerHandle | None = None
        self._following: asyncio.Task[None] | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Counts one more reader, for whom everything is kept and followed."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow())
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    def close(self) -> None:
        """Ends all streams at once."""
        self.closed = True
        if self._following:
            self._following.cancel()
        self._ring_bell()

    @property
    def newest(self) -> Position:
        return self._ring.newest

    def since(self, position: Position) -> list[Told] | None:
        """As `Ring.since`."""
        return self._ring.since(position)

    async def news(self, seconds: float) -> None:
        """Returns when there may be something new, and after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()

    def experiments(self) -> list[ObjectRef]:
        return [ref_of(EXPERIMENT, obj) for obj in self._caches.objects(EXPERIMENT)]

    def present(self, ref: ObjectRef) -> bytes:
        """`added` with the Experiment as it is now; empty where it has gone meanwhile, which is an event of its own."""
        obj = self._caches.get(ref)
        return frame("added", self._summary(ref, obj)) if obj else b""

    def gaps(self) -> bytes:
        """Empty while everything is told."""
        return frame("stale", _json(self._gaps)) if self._gaps != Gaps() else b""

    def observe(self, change: Change) -> None:
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
        self._ring.append(namespace, name, event, data)
        if self._to_ring is None:
            loop = asyncio.get_running_loop()
            self._to_ring = loop.call_at(self._rung_at + self.readers * _SECONDS_PER_READER, self._ring_bell)

    def _ring_bell(self) -> None:
        self._rung_at, self._to_ring = asyncio.get_running_loop().time(), None
        self._bell.set()
        self._bell = asyncio.Event()

    async def _follow(self) -> None:
        """The runs, until nobody has read for a while."""
        news, pause, deserted = NewRuns(self._runs), _SECONDS_BETWEEN_LOOKS, 0.0
        while deserted < _SECONDS_KEPT_FOR_NOBODY:
            away = await self._look(news)
            self._tell_gaps(away)
            pause = min(2 * pause, _MOST_SECONDS_BETWEEN_LOOKS) if away else _SECONDS_BETWEEN_LOOKS
            await asyncio.sleep(pause)
            deserted = 0.0 if self.readers else deserted + pause
        self._ring, self._gaps, self._following = Ring(), Gaps(), None
        self._summaries.clear()

    async def _look(self, news: NewRuns) -> str | None:
        """Tells of new runs. Returns why it cannot."""
        try:
            found, complete = await news.look()
        except TemporalUnavailable as error:
            return str(error)
        except Exception:  # the Experiments go on
            log.exception("runs cannot be followed")
            return "A defect of this service; its log has the details."
        if not complete:
            log.warning("more runs than one look can take in: all readers begin anew")
            self._ring = Ring()
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
    """The event's name and data."""
    return "started" if run.status == "Running" else "ended", _json(run)


def _json(data: Part) -> bytes:
    return data.model_dump_json(by_alias=True).encode()
