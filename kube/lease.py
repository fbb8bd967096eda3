"""Which of several processes leads: a Lease of coordination.k8s.io that at most one candidate holds at a time.

The watcher dispatches, and a replica of the api renews certificates, only while it holds theirs. Clocks of two machines
are never compared, and what the record says of time is for people only:

- The holder's time runs from the moment at which its last successful renewal *began*, and ends after `deadline`.
- Another takes over when it has seen the same record for `duration`, counted from when it *first saw* it, which is
  after that renewal began. In the difference of the two, the work of the former holder ends.
- Only a holder that lets go leaves a record without holder and without time, which anybody may take at once. One that
  is missing, or lacks its holder for any other reason, counts as held by somebody: the holder writes it again.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from kube.errors import ConflictError, KubeError, NotFoundError
from kube.objects import LEASE, Object, ObjectRef
from telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kube.client import KubeClient

log = structlog.get_logger(__name__)

_RELEASE_TIMEOUT_SECONDS = 2.0
_MAX_TRANSITIONS = 2**31 - 1
_NEVER_READ: Object = {"never": "read"}
# Goes on while the machine sleeps, unlike the monotonic clock: a holder that wakes up must know that time has passed.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. The candidates of one Lease must agree on `duration`, which the record holds in whole seconds.

    A holder that is killed is followed within `duration` and twice `retry`; one that lets go within `retry`.
    """

    duration: float = 10.0
    deadline: float = 7.0
    """Must leave the work enough of `duration` to end."""
    renew: float = 2.0
    """The longest pause of a holder after a renewal."""
    retry: float = 1.0
    """The longest pause before another look at another's Lease, or after a failure."""


class Lease:
    """One candidate for the Lease `namespace`/`name`, which is created where it is missing."""

    def __init__(self, client: KubeClient, namespace: str, name: str, *, times: Times | None = None) -> None:
        self.identity = f"{socket.gethostname()}_{uuid.uuid4()}"
        self._client = client
        self._ref = ObjectRef(LEASE, namespace, name)
        self._times = times or Times()
        self._held_until = -math.inf
        self._seen: Object | None = _NEVER_READ
        self._seen_at = math.inf
        self._error = ""

    def held(self) -> bool:
        """Tell whether this candidate leads at this very moment.

        To be asked before anything that only a leader may do: after a pause of the whole process, `work` may take a few
        steps before it is cancelled.
        """
        return _now() < self._held_until

    async def lead(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` while this candidate leads, again and again, until cancelled; then let go of the Lease.

        `work` goes on until it is cancelled, which happens when the Lease is lost, and must then end at once. An
        exception of it ends this, too. The API server's errors do not: they are logged, and tried again.
        """
        try:
            with metrics.LEASE_HELD.of(self.held, self._ref.name):
                while True:
                    await self._acquire()
                    log.info("leading", lease=str(self._ref), identity=self.identity)
                    async with asyncio.TaskGroup() as tasks:
                        working = tasks.create_task(work())
                        await self._hold()
                        working.cancel()
                    log.warning("not leading any more", lease=str(self._ref), error=self._error)
        finally:
            await self._release()

    async def _acquire(self) -> None:
        await self._attempt()
        while not self.held():
            await _pause(self._times.retry)
            await self._attempt()

    async def _hold(self) -> None:
        """Renew the Lease. Returns when it is lost, also in the middle of a call."""
        pause = self._times.renew
        while self.held():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._held_until - _now()):
                    await _pause(pause)
                    pause = self._times.renew if await self._attempt() else self._times.retry

    async def _attempt(self) -> bool:
        """Take or renew the Lease where that may be done, and tell whether it was."""
        try:
            async with asyncio.timeout(self._times.deadline / 2):  # so that one lost answer is not yet a lost Lease
                held = await self._take_or_renew()
        except (KubeError, TimeoutError) as error:
            self._note(str(error) or "no answer in time")
            return False
        self._note("")
        return held

    async def _take_or_renew(self) -> bool:
        started = _now()
        live = await self._read()
        record = None if live is None else live.get("spec", {})
        if record != self._seen:
            self._see(record)
        if _holder_of(record) not in {"", self.identity}:
            self._held_until = -math.inf
        if not (self.held() or _is_released(record) or _now() >= self._seen_at + self._times.duration):
            return False
        written = await self._write(live, record or {})
        self._held_until = started + self._times.deadline
        self._see(written["spec"])
        return True

    def _see(self, record: Object | None) -> None:
        holder = _holder_of(record)
        if holder not in {"", self.identity, _holder_of(self._seen)}:
            log.info("another leads", lease=str(self._ref), holder=holder)
        self._seen, self._seen_at = record, _now()

    async def _read(self) -> Object | None:
        try:
            return await self._client.get(self._ref)
        except NotFoundError:
            return None

    async def _write(self, live: Object | None, record: Object) -> Object:
        """Write the Lease. KubeError unless it is still as it was read."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        duration = math.ceil(self._times.duration)
        spec = {"holderIdentity": self.identity, "leaseDurationSeconds": duration, "renewTime": now}
        if _holder_of(record) != self.identity:
            transitions = min(record.get("leaseTransitions", 0) + 1, _MAX_TRANSITIONS)
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        if live is not None:
            return await self._patch(live, spec)
        meta = {"namespace": self._ref.namespace, "name": self._ref.name}
        body = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}
        return await self._client.create(LEASE, body)

    async def _patch(self, live: Object, spec: Object) -> Object:
        guard = {"resourceVersion": live["metadata"]["resourceVersion"]}
        return await self._client.merge_patch(self._ref, {"metadata": guard, "spec": spec})

    async def _release(self) -> None:
        """Let go of the Lease, also where it is not known to be held: what came of a call cut off nobody has told."""
        self._held_until = -math.inf
        try:
            async with asyncio.timeout(_RELEASE_TIMEOUT_SECONDS):
                await self._let_go()
        except (KubeError, TimeoutError) as error:
            words = str(error) or "no answer in time"
            log.warning("could not let go of the lease, which runs out", lease=str(self._ref), error=words)

    async def _let_go(self) -> None:
        live = await self._read()
        if live is None or _holder_of(live.get("spec")) != self.identity:
            return
        try:
            await self._patch(live, {"holderIdentity": None, "acquireTime": None, "renewTime": None})
        except ConflictError:  # perhaps with a renewal of our own that was under way
            await self._let_go()
        else:
            log.info("released", lease=str(self._ref))

    def _note(self, error: str) -> None:
        if error and error != self._error:  # the same failure every second is one line
            log.warning("cannot look after the lease", lease=str(self._ref), error=error)
        self._error = error


def _holder_of(record: Object | None) -> str:
    return (record or {}).get("holderIdentity") or ""


def _is_released(record: Object | None) -> bool:
    """Tell whether it is as `_let_go` leaves it, or as it is where nobody has ever held it."""
    return record is not None and not _holder_of(record) and not record.get("renewTime")


async def _pause(longest: float) -> None:
    await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter


def _now() -> float:
    return time.clock_gettime(_CLOCK)
