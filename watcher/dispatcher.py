"""From cluster events to workflow starts: asks of each changed Experiment whether its plan would do anything.

Level-triggered: an Experiment is looked at again after anything that it concerns, and what decides is how things are,
not what happened. The hard part is the service's own writes: caches lag behind the worker, so an Experiment in the
middle of its run looks as if much were to do. Hence two kinds of judgement:

- What this service does not write (generation, deletion, Agent, templates, …) is believed at once. It is the plan's
  `cause`, and a cause starts one run, or wakes the one that is open.
- What it does write (children, status) is believed only once the run that may be writing it has reported, or has been
  silent for long; and a child is looked at in the API server before a run is started on its account.

People's changes go first. What merely follows something else is started only as fast as runs come to their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from experiments.contract import Target, Urgency, WakeSignal
from experiments.drift import is_outdated
from experiments.models import ExperimentStatus
from experiments.names import CHILD_SUFFIXES
from experiments.plan import Plan, plan
from experiments.reasons import reasons
from experiments.snapshot import Subject
from kube.client import KubeClient
from kube.errors import ForbiddenError, NotFoundError
from kube.objects import ObjectRef
from kube.reflector import Change
from telemetry import tracing
from temporal.client import Start
from watcher.queue import WorkQueue
from watcher.repairs import MAX_REPAIRS_AT_ONCE, RepairLimiter
from watcher.snapshots import Snapshots
from watcher.urgency import is_its_own, urgency_of
from watcher.window import PATIENCE, Room, Window

log = structlog.get_logger(__name__)

_CATCH_UP_TIMEOUT = 0.5
_SILENCE = 1.0
_REPORT_TIMEOUT = 30.0
_MAX_TIMEOUT = 600.0


@dataclass(slots=True)
class Dispatched:
    """What was last started for an Experiment that has not been seen settled since.

    `due` is when (in the loop's time) it is looked at again although nothing new has happened. `before` is what the
    status said then: a run that has waited may have reported before it was woken.
    """

    cause: tuple[object, ...]
    run_id: str
    before: ExperimentStatus
    attempt: int
    due: float
    reported: bool = False


EndStuckRun: TypeAlias = Callable[[Target], Awaitable[bool]]


class Dispatcher:
    """`workers` bounds how many Experiments are judged and started at once.

    With a worker in the same process (`beside_worker`), runs are started as it has room for them.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        client: KubeClient,
        start: Start,
        end_stuck_run: EndStuckRun,
        *,
        beside_worker: bool = False,
        workers: int = 16,
    ) -> None:
        self._snapshots, self._client = snapshots, client
        self._start, self._end_stuck_run = start, end_stuck_run
        self._window, self._room = Window(), Room() if beside_worker else None
        self._queue = WorkQueue(self._handle, workers=workers, held=self._is_held)
        self._unsettled: dict[ObjectRef, Dispatched] = {}
        self._repairs = RepairLimiter()

    def observe(self, change: Change) -> None:
        """Have the Experiments that `change` concerns looked at.

        What an open run seems to have done itself waits for its report, which calls for the same look.
        """
        own = is_its_own(change)
        if self._room and change.ref and not own and self._room.end(change.ref):
            self._queue.look_again()  # at once: looks are held as well while it is full
        for experiment in self._snapshots.concerned(change):
            last = self._unsettled.get(experiment)
            if last and not last.reported and own:
                self._queue.add_within(experiment, _SILENCE)
            else:
                self._queue.add(experiment, urgency_of(change))

    def _is_held(self, urgency: Urgency) -> bool:
        full = self._room is not None and self._room.is_full(_now())
        return full or (urgency == Urgency.FOLLOW and self._window.is_full)

    async def run(self) -> None:
        """Dispatch until cancelled. What was observed before is waiting in the queue."""
        self._window = Window()  # nobody has told how the runs of an earlier term have ended
        self._queue.look_again()
        await self._queue.run()

    async def _handle(self, ref: ObjectRef) -> None:
        snapshot = self._snapshots.take(ref)
        found = plan(snapshot) if snapshot else None
        if found is None or not found.needed:
            self._unsettled.pop(ref, None)
            self._queue.forget(ref)
            self._leave_window(ref)
            if found is None:
                self._repairs.forget(ref)
                await self._clean_up_after(ref)
            return
        last = self._unsettled.get(ref)
        if last is None:
            await self._dispatch(found, attempt=0, certain=not _is_about_own_writes(found))
        elif last.cause != found.cause:
            await self._dispatch(found, attempt=0, certain=True)
        elif self._is_due(last, found):
            await self._dispatch(found, attempt=last.attempt + 1, certain=False)
        else:
            self._queue.add_after(ref, last.due - _now())

    def _is_due(self, last: Dispatched, found: Plan) -> bool:
        """Give the run in question the time to finish, and once it has reported, the caches the time to catch up."""
        status = found.snapshot.subject.status
        run = status.last_reconciliation
        if not last.reported and run is not None and run.run_id == last.run_id and status != last.before:
            last.reported = True
            self._leave_window(found.snapshot.subject.ref)
            last.due = min(last.due, _now() + min(_CATCH_UP_TIMEOUT * 4**last.attempt, _MAX_TIMEOUT))
        return _now() >= last.due

    def _leave_window(self, ref: ObjectRef) -> None:
        left = self._room is not None and self._room.end(ref)
        if self._window.end(ref, _now()) or left:
            self._queue.look_again()

    async def _dispatch(self, found: Plan, *, attempt: int, certain: bool) -> None:
        subject = found.snapshot.subject
        ref, cause, due = subject.ref, found.cause, min(_REPORT_TIMEOUT * 2**attempt, _MAX_TIMEOUT)
        run_id = ""
        if not certain and (pause := self._repairs.pause(ref, _now())):
            self._queue.add_after(ref, pause)
            return
        if certain or ((found := await self._confirmed(found)).needed and not await self._is_behind(subject)):
            repairs = 0 if certain else self._repairs.note(ref, _now())
            if attempt > 0:  # the run has been silent for long: a signal may not be heard
                await self._end_stuck_run(Target(subject.meta.namespace, subject.meta.name, subject.meta.uid))
            run_id = await self._ask_for_run(found, repairs)
        elif attempt == 0:
            return  # the caches are behind, and will hear of what the API server has told already
        self._unsettled[ref] = Dispatched(cause, run_id, subject.status, attempt, _now() + due)
        self._queue.add_after(ref, due)

    async def _ask_for_run(self, found: Plan, repairs: int) -> str:
        """Ask for a run, and return its id. Its trace begins here."""
        subject, why = found.snapshot.subject, reasons(found)
        if repairs > MAX_REPAIRS_AT_ONCE:
            why.append(f"put right {repairs} times within a minute")
        with tracing.span("dispatch", begin=True, experiment=str(subject.ref), reasons=", ".join(why)):
            target = Target(subject.meta.namespace, subject.meta.name, subject.meta.uid)
            wakeup = WakeSignal(why, self._snapshots.versions(found.snapshot), orphan=subject.orphaning)
            self._leave_window(subject.ref)
            urgency = self._queue.urgency(subject.ref)
            if urgency == Urgency.FOLLOW:
                self._window.begin(subject.ref, _now())
            if self._room:
                self._room.begin(subject.ref, _now())
                asyncio.get_running_loop().call_later(PATIENCE, self._queue.look_again)
            try:
                run_id = await self._start(target, wakeup, urgency)
            except BaseException:
                self._leave_window(subject.ref)
                raise
            log.info("reconciliation asked for", experiment=str(subject.ref), reasons=why, run_id=run_id)
        return run_id

    async def _clean_up_after(self, ref: ObjectRef) -> None:
        """Have children deleted whose Experiment went without its finalizer, once the API server itself says so."""
        for uid, child in self._snapshots.left_behind(ref).items():
            if await self._client.find(ref) or not await self._client.find(child):
                return  # the caches are behind
            why = "the Experiment is gone, and has left children behind"
            run_id = await self._start(Target(ref.namespace, ref.name, uid), WakeSignal([why]), Urgency.REPAIR)
            log.warning("clean-up asked for", experiment=str(ref), uid=uid, run_id=run_id)
            self._queue.add_after(ref, _REPORT_TIMEOUT)

    async def _confirmed(self, found: Plan) -> Plan:
        """Make the same plan with the children as they are in the API server now."""
        snapshot = found.snapshot
        for ref in dict.fromkeys((*snapshot.subject.known_children, *snapshot.own_children)):
            try:
                child = await self._client.find(ref)
            except ForbiddenError:
                continue  # the run meets it, too, and says so in the status
            snapshot = snapshot.with_object(ref, child)
        return plan(snapshot)

    async def _is_behind(self, subject: Subject) -> bool:
        """Tell whether a run has reported, or the Experiment has gone, and the cache is still to hear of it."""
        try:
            live = await self._client.get(subject.ref)
        except NotFoundError:
            return True
        return bool(live["metadata"]["resourceVersion"] != subject.meta.resource_version)


def _is_about_own_writes(found: Plan) -> bool:
    """Tell whether it is about children that seem missing or edited, which may be no more than a late cache."""
    subject = found.snapshot.subject
    if subject.being_deleted or subject.meta.generation != subject.status.observed_generation:
        return False
    children = [a for a in found.actions if a.ref.resource in CHILD_SUFFIXES]
    return any(a.live is None or not is_outdated(a.differences) for a in children)


def _now() -> float:
    return asyncio.get_running_loop().time()
