"""Sees to what each Experiment lacks with regard to executions, one Experiment at a time and many at once.

That is: executions that are to be followed, in their order; the conditions that say whether Testkube answers; and the
execution that an annotation wishes for. Level-triggered, as the dispatcher is: whatever calls for a look, the
Experiment as it is decides. What is sent is idempotent, so that a second look costs little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
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
from experiments.executions import ExecutionTarget, StartRequest, rfc3339
from experiments.models import Condition, ExperimentStatus, parse_status
from experiments.names import EXECUTE_AT
from experiments.resources import EXPERIMENT
from kube.caches import Caches
from kube.client import KubeClient
from kube.errors import ConflictError, ForbiddenError, NotFoundError
from kube.objects import Object, ObjectRef, ref_of
from kube.reflector import Change
from telemetry import metrics
from temporal.executions import Follow, Request
from watcher.queue import WorkQueue

log = structlog.get_logger(__name__)


class Following:
    """Subscribe `observe` to the caches, and `run` while this process leads. `workers` are Experiments at once."""

    def __init__(
        self, client: KubeClient, caches: Caches, follow: Follow, request: Request, *, workers: int = 16
    ) -> None:
        self._client, self._caches = client, caches
        self._follow, self._request = follow, request
        self._queue = WorkQueue(self._handle, workers=workers)
        self._begin()

    def _begin(self) -> None:
        """Forget the term before: others have seen to what came since."""
        self._due: defaultdict[ObjectRef, dict[str, ExecutionTarget]] = defaultdict(dict)
        self._asked: dict[ObjectRef, tuple[str, str]] = {}
        self._failure: str | None = None

    def observe(self, change: Change) -> None:
        """Look at an Experiment that has changed, or at all of them."""
        if change.ref is None:
            self._look_at_all()
        elif change.ref.resource == EXPERIMENT:
            self._queue.add(change.ref)

    def have_followed(self, executions: Iterable[ExecutionTarget], seen_by: Literal["event", "poll"]) -> None:
        """Have executions followed, or looked at once more by whoever follows them."""
        for execution in executions:
            target = execution.target
            experiment = ObjectRef(EXPERIMENT, target.namespace, target.name)
            self._due[experiment][execution.id] = execution
            self._queue.add(experiment)
            metrics.EXECUTION_LOOKS.labels(seen_by).inc()

    def say(self, failure: str) -> None:
        """Have all Experiments say why Testkube does not answer, or that it does where this is empty."""
        if self._failure is None or bool(failure) != bool(self._failure):  # in other words, it is no news
            self._failure = failure
            self._look_at_all()

    async def run(self) -> None:
        """See to Experiments until cancelled."""
        self._begin()
        self._look_at_all()
        await self._queue.run()

    def _look_at_all(self) -> None:
        for experiment in self._caches.objects(EXPERIMENT):
            self._queue.add(ref_of(EXPERIMENT, experiment))

    async def _handle(self, ref: ObjectRef) -> None:
        """See to one Experiment. An exception has it tried again after a while."""
        await self._follow_due(ref)
        experiment = self._caches.get(ref)
        if experiment is None:
            self._asked.pop(ref, None)
        elif "deletionTimestamp" not in experiment["metadata"]:
            status = parse_status(experiment)
            if status.observed_generation == experiment["metadata"]["generation"]:  # else it is about to be written
                await self._write_conditions(ref, experiment, status)
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
        self._due.pop(ref, None)

    async def _write_conditions(self, ref: ObjectRef, experiment: Object, status: ExperimentStatus) -> None:
        """Write into its status whether Testkube answers, where it says something else."""
        news = _news(status, self._failure)
        if not news:
            return
        now = rfc3339(datetime.now(UTC))
        guard = {"resourceVersion": experiment["metadata"]["resourceVersion"]}
        patch = {"metadata": guard, "status": {"conditions": with_conditions(experiment, news, now)}}
        try:
            await self._client.merge_patch(ref, patch, subresource="status")
        except (ConflictError, NotFoundError):
            pass  # the cache is about to hear of what has changed, and it is looked at once more
        except ForbiddenError as error:
            # It is an alert by itself; to repeat it for each Experiment would help nobody.
            log.warning("condition not written", experiment=str(ref), error=str(error))

    async def _ask(self, ref: ObjectRef, experiment: Object, status: ExperimentStatus) -> None:
        """Ask for the execution that its annotation wishes for, once it is known whether it is Ready."""
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


def _news(status: ExperimentStatus, failure: str | None) -> list[Condition]:
    """Return the conditions about executions that the status lacks; none while it is not known how Testkube is."""
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
