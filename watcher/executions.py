"""Sees executions begin and end in Testkube, and has each of them followed by a Temporal workflow of its own.

Testkube's Events say when to look. They are a hint that may be lost, and there is none for an execution that was
canceled: a poll of Testkube's list is the second line. Which of what it lists is news is decided in `choice`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from temporalio.service import RPCError

from experiments.names import MANAGED_BY, MANAGER
from experiments.options import Options
from kube.backoff import Backoff
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import KubeError
from kube.objects import EVENT, Object, Source
from telemetry import metrics
from temporal.executions import Ended
from testkube.client import TestkubeClient
from testkube.errors import TestkubeError
from watcher.choice import FIRST_LOOK, MARGIN, Listed, Sighting, begun, by_id, choose, execution_in, next_look, sighting
from watcher.following import Following

log = structlog.get_logger(__name__)

_MAX_LISTED = 20_000
_SHORTEST_PAUSE = 1.0
_WATCH_SECONDS, _IDLE_SECONDS = 300.0, 90.0
_QUERY = {"selector": f"{MANAGED_BY}={MANAGER}"}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. Testkube is polled every `poll`; while it is away, after pauses that grow from `retry` to `poll`.

    It is said to be away once it has been for `patience`.
    """

    poll: float = 60.0
    retry: float = 1.0
    patience: float = 60.0


class ExecutionObserver:
    """Run it while this process leads. `client` reads Events, `caches` know Experiments and their TestWorkflows."""

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        testkube: TestkubeClient,
        options: Options,
        following: Following,
        *,
        ended: Ended,
        times: Times | None = None,
    ) -> None:
        self._client, self._caches, self._testkube, self._options = client, caches, testkube, options
        self._following, self._ended, self._times = following, ended, times or Times()
        self._poll_now = asyncio.Event()
        self._error = ""
        self._begin()

    def _begin(self) -> None:
        """Forget the term before: others have seen to what came since."""
        self._seen: Listed | None = None
        self._since = datetime.now(UTC) - FIRST_LOOK
        self._answered_at = _now()
        self._failing_since: float | None = None

    async def run(self) -> None:
        """Observe, and have followed what is seen, until cancelled."""
        self._begin()
        with metrics.TESTKUBE_SILENCE.of(lambda: _now() - self._answered_at):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._following.run())  # which forgets, before it is told anything
                tasks.create_task(self._watch(), name="Testkube's Events")
                tasks.create_task(self._keep_polling(), name="Testkube's executions")

    async def _watch(self) -> None:
        """Watch Testkube's Events from now on. What a gap may have hidden is for a poll to find."""
        source = Source(EVENT, self._options.generated_in, field_selector="involvedObject.kind=TestWorkflow")
        version, backoff = "", Backoff(0.5, 30.0)
        while True:
            started = time.monotonic()
            try:
                if not version:
                    version = await self._client.version(source)
                    self._poll_now.set()
                async with self._client.watch(
                    source, version, idle_seconds=_IDLE_SECONDS, server_seconds=_WATCH_SECONDS
                ) as events:
                    self._note("")
                    async for event in events:
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] == "ADDED":
                            self._hear(event["object"])
            except KubeError as error:
                version = version if error.transient else ""
                self._note(str(error))
            except Exception:  # an Event of a shape nobody thought of must not end this
                version = ""
                log.exception("watch failed", source=str(source))
            await asyncio.sleep(backoff.pause_after(time.monotonic() - started))

    def _hear(self, event: Object) -> None:
        if execution := execution_in(event, self._caches.get, self._options):
            self._following.have_followed([execution], "event")

    def _note(self, error: str) -> None:
        if error and error != self._error:  # the same failure every half minute is one line
            log.warning("Testkube's Events are not heard", error=error)
        self._error = error

    async def _keep_polling(self) -> None:
        pause = self._times.retry
        while True:
            self._poll_now.clear()
            try:
                await self._poll()
            except Exception as error:  # noqa: BLE001 - whatever Testkube answers, this goes on
                metrics.TESTKUBE_POLLS.labels("failed").inc()
                self._fail(error)
                await self._rest(pause)
                pause = min(2 * pause, self._times.poll)
            else:
                metrics.TESTKUBE_POLLS.labels("answered").inc()
                pause = self._times.retry
                await self._rest(self._times.poll)

    async def _poll(self) -> None:
        listed = by_id([each async for each in self._list()])
        self._answered_at, self._failing_since = _now(), None
        self._following.say("")
        ended = await self._ended_among(listed) if self._seen is None else set()
        self._following.have_followed(choose(listed, self._seen, self._since, ended), "poll")
        self._since, self._seen = next_look(listed.values(), self._since, datetime.now(UTC)), listed

    async def _ended_among(self, listed: Listed) -> set[str]:
        """Ask Temporal what others have seen to already. Where it cannot say, all of it is followed once more."""
        oldest = min((each.begun for each in listed.values() if each.begun), default=self._since)
        try:
            return await self._ended(oldest - MARGIN)
        except RPCError as error:
            log.warning("Temporal does not say which executions have been followed", error=str(error))
            return set()

    async def _list(self) -> AsyncIterator[Sighting]:
        """List the executions of Experiments, newest first, as far back as something may be new."""
        count = 0
        async for each in self._testkube.newest(query=_QUERY):
            count += 1
            if (began := begun(each)) and began < self._since:
                return
            if count > _MAX_LISTED:
                log.warning("there are more executions than can be looked at", since=str(self._since), looked_at=count)
                return
            if seen := sighting(each, self._caches.get, self._options):
                yield seen

    def _fail(self, error: Exception) -> None:
        """Say that Testkube is away only once it has been for a while: a restart is nobody's trouble."""
        if self._failing_since is None:
            self._failing_since = _now()
        words = str(error) if isinstance(error, TestkubeError) else f"{type(error).__name__}: {error}"
        log.warning("Testkube does not answer", error=words, seconds=round(_now() - self._answered_at))
        if _now() - self._failing_since >= self._times.patience:
            self._following.say(f"Testkube does not answer, so what it runs is not known: {words}")

    async def _rest(self, seconds: float) -> None:
        """Wait for the next poll, or until somebody wants one sooner; that is never sooner than in a second."""
        shortest = min(_SHORTEST_PAUSE, seconds)
        await asyncio.sleep(shortest)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - shortest):
                await self._poll_now.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
