"""Sees executions begin and end in Testkube, and has each of them followed by a Temporal workflow of its own.

Testkube's Events say when to look. They are a hint that may be lost, and there is none for an execution that was
canceled: a poll of Testkube's list is the second line. Beside that, this asks for the execution that an annotation
wishes, and says in each Experiment whether Testkube answers. All of it is done by whoever leads, and what is sent is
idempotent, so that a change of the leader costs a second look and no more.

Where the last poll has failed, Events are not acted upon: the next one finds what they were about, and in its order.
Otherwise an execution could come into the status before an older one that nobody has seen.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from experiments.conditions import (
    ConditionType,
    ExecutionConditionType,
    evaluated,
    executions_observed,
    with_conditions,
)
from experiments.contract import Target
from experiments.executions import ExecutionTarget, StartRequest
from experiments.models import Condition, ExperimentStatus, parse_status
from experiments.names import EXECUTE_AT, MANAGED_BY, MANAGER
from experiments.options import Options
from experiments.resources import EXPERIMENT
from kube.backoff import Backoff
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import ConflictError, ForbiddenError, KubeError, NotFoundError
from kube.objects import EVENT, Object, ObjectRef, Source, ref_of
from kube.reflector import Change
from telemetry import metrics
from temporal.executions import Follow, Request
from testkube.client import TestkubeClient
from testkube.errors import TestkubeError
from watcher.choice import FIRST_LOOK, Listed, Sighting, begun, by_id, choose, execution_in, next_look, sighting
from watcher.queue import WorkQueue

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
    """Subscribe `observe` to the caches, and `run` while this process leads.

    `client` says in the status whether Testkube answers; what it reads are Events alone. `workers` bounds how many
    Experiments are seen to at once.
    """

    def __init__(
        self,
        client: KubeClient,
        caches: Caches,
        testkube: TestkubeClient,
        options: Options,
        *,
        follow: Follow,
        request: Request,
        times: Times | None = None,
        workers: int = 16,
    ) -> None:
        self._client, self._caches, self._testkube, self._options = client, caches, testkube, options
        self._follow, self._request, self._times = follow, request, times or Times()
        self._queue = WorkQueue(self._handle, workers=workers)
        self._poll_now = asyncio.Event()
        self._error = ""
        self._begin()

    def _begin(self) -> None:
        """Forget the term before: what came since, others have seen to."""
        self._due: defaultdict[ObjectRef, dict[str, ExecutionTarget]] = defaultdict(dict)
        self._asked: dict[ObjectRef, tuple[str, str]] = {}
        self._seen: Listed | None = None
        self._since = datetime.now(UTC) - FIRST_LOOK
        self._answered_at, self._failing_since = _now(), 0.0
        # What is wrong with Testkube: an empty one says that it answers, None that this is still to be found out.
        self._failure: str | None = None

    def observe(self, change: Change) -> None:
        """Look at an Experiment that has changed, or at all: each tells by itself whether it lacks something."""
        if change.ref is None:
            self._look_at_all()
        elif change.ref.resource == EXPERIMENT:
            self._queue.add(change.ref)

    async def run(self) -> None:
        """Observe until cancelled."""
        self._begin()
        self._look_at_all()
        with metrics.TESTKUBE_SILENCE.of(lambda: _now() - self._answered_at):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(), name="Testkube's Events")
                tasks.create_task(self._keep_polling(), name="Testkube's executions")
                tasks.create_task(self._queue.run())

    def _look_at_all(self) -> None:
        for experiment in self._caches.objects(EXPERIMENT):
            self._queue.add(ref_of(EXPERIMENT, experiment))

    # Events

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
                    async for event in events:
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] == "ADDED":
                            self._hear(event["object"])
                self._note("")
            except KubeError as error:
                version = version if error.transient else ""
                self._note(str(error))
            except Exception:  # an Event of a shape nobody thought of must not end this
                version = ""
                log.exception("watch failed", source=str(source))
            await asyncio.sleep(backoff.pause_after(time.monotonic() - started))

    def _hear(self, event: Object) -> None:
        execution = execution_in(event, self._caches.get, self._options)
        if execution is None:
            return
        if self._seen is None or self._failing_since:
            self._poll_now.set()
        else:
            self._have_followed([execution], "event")

    # Polls

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
        self._answered_at, self._failing_since = _now(), 0.0
        self._tell("")
        self._have_followed(choose(listed, self._seen, self._since), "poll")
        self._since, self._seen = next_look(listed.values(), self._since, datetime.now(UTC)), listed

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
        self._failing_since = self._failing_since or _now()
        words = str(error) if isinstance(error, TestkubeError) else f"{type(error).__name__}: {error}"
        log.warning("Testkube does not answer", error=words, seconds=round(_now() - self._answered_at))
        if _now() - self._failing_since >= self._times.patience:
            self._tell(f"Testkube does not answer, so what it runs is not known: {words}")

    def _tell(self, failure: str) -> None:
        if self._failure is None or bool(failure) != bool(self._failure):
            self._failure = failure
            self._look_at_all()

    async def _rest(self, seconds: float) -> None:
        """Wait for the next poll, or until somebody wants one sooner; that is never sooner than in a second."""
        shortest = min(_SHORTEST_PAUSE, seconds)
        await asyncio.sleep(shortest)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - shortest):
                await self._poll_now.wait()

    # What is due of each Experiment

    def _have_followed(self, executions: Iterable[ExecutionTarget], seen_by: Literal["event", "poll"]) -> None:
        for execution in executions:
            target = execution.target
            experiment = ObjectRef(EXPERIMENT, target.namespace, target.name)
            self._due[experiment][execution.id] = execution
            self._queue.add(experiment)
            metrics.EXECUTION_LOOKS.labels(seen_by).inc()

    async def _handle(self, ref: ObjectRef) -> None:
        """See to one Experiment. An exception has it tried again after a while."""
        await self._follow_due(ref)
        experiment = self._caches.get(ref)
        if experiment is None:
            self._asked.pop(ref, None)
        elif "deletionTimestamp" not in experiment["metadata"]:
            status = parse_status(experiment)
            if status.observed_generation == experiment["metadata"]["generation"]:
                await self._say(ref, experiment, status)
                await self._ask(ref, experiment, status)

    async def _follow_due(self, ref: ObjectRef) -> None:
        """Have executions followed in their order, each of them once the one before is."""
        while due := self._due.get(ref):
            execution = due.pop(next(iter(due)))
            try:
                await self._follow(execution)
            except BaseException:
                self._due[ref] = {execution.id: execution, **due}
                raise
            log.debug("execution followed", execution=execution.id, experiment=str(ref))
        self._due.pop(ref, None)

    async def _say(self, ref: ObjectRef, experiment: Object, status: ExperimentStatus) -> None:
        """Write into its status whether Testkube answers, where it says something else."""
        news = _news(status, self._failure)
        if not news:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        guard = {"resourceVersion": experiment["metadata"]["resourceVersion"]}
        patch = {"metadata": guard, "status": {"conditions": with_conditions(experiment, news, now)}}
        try:
            await self._client.merge_patch(ref, patch, subresource="status")
        except (ConflictError, NotFoundError):
            pass  # the cache is about to hear of what has changed, and it is looked at once more
        except ForbiddenError as error:
            self._note(str(error))  # repeating it would not help, nor concern anything but this condition

    async def _ask(self, ref: ObjectRef, experiment: Object, status: ExperimentStatus) -> None:
        """Ask for the execution that its annotation wishes, once it is known whether it is Ready."""
        meta = experiment["metadata"]
        value = (meta.get("annotations") or {}).get(EXECUTE_AT)
        if not value or value == status.execute_at or _is_waiting(status):
            return
        if self._asked.get(ref) == (meta["uid"], value):
            return  # the workflow has it; its word is yet to come into the status, or into this cache
        target = Target(ref.namespace, ref.name, meta["uid"])
        await self._request(StartRequest(target, f"execute-at/{value}", "annotation", execute_at=value))
        self._asked[ref] = meta["uid"], value
        log.info("execution asked for", experiment=str(ref), execute_at=value)

    def _note(self, error: str) -> None:
        if error and error != self._error:  # the same failure every half minute is one line
            log.warning("executions are not observed in full", error=error)
        self._error = error


def _news(status: ExperimentStatus, failure: str | None) -> list[Condition]:
    """Return the conditions about executions that the status lacks. An error in other words is none."""
    if failure is None:
        return []
    said = executions_observed(failure)
    before = status.condition(said.type)
    news = [] if before and (before.status, before.reason) == (said.status, said.reason) else [said]
    if status.condition(ExecutionConditionType.EVALUATED) is None:
        news.append(evaluated("", ""))
    return news


def _is_waiting(status: ExperimentStatus) -> bool:
    """Tell whether it is still open, or will be by itself, whether the Experiment is Ready."""
    reconciling = status.condition(ConditionType.RECONCILING)
    return status.condition(ConditionType.READY) is None or (reconciling is not None and reconciling.status == "True")


def _now() -> float:
    return asyncio.get_running_loop().time()
