"""What a run did, read from its Temporal history: its steps, what they changed, and what woke it. Pure.

`visibility` fetches the events, the workflow in `worker` causes them; how a run ended is read by `close_event`. A
history may be older than this code: what it holds and this code no longer understands is left out, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import PayloadConverter

from api.reconciliations.close_event import decode, time_of
from api.reconciliations.schemas import RunStep, Signal
from experiments.contract import (
    CARRY_OUT,
    NOTHING_TO_REPORT,
    SIGNAL,
    TAKE_SNAPSHOT,
    WRITE_STATUS,
    Progress,
    RunState,
    SnapshotResult,
    WakeSignal,
)

_LOCAL_ACTIVITY = "core_local_activity"


class Timeline:
    """The steps and signals of a run, in order. `pending` tells of the regular activities that are under way now.

    `reasons` are why it began and what woke it, `changes` what its steps have done, in words, and `status_written` what
    its last report said.
    """

    def __init__(
        self, events: Iterable[HistoryEvent], pending: Iterable[PendingActivityInfo], converter: PayloadConverter
    ) -> None:
        self.steps: list[RunStep] = []
        self.signals: list[Signal] = []
        self.reasons: list[str] = []
        self.changes: list[str] = []
        self.status_written: str | None = None
        self._converter = converter
        self._troubles: dict[str, str] = {}
        self._open: dict[int, RunStep] = {}  # by the id of the event that began it
        self._by_activity_id: dict[str, RunStep] = {}
        self._clock = datetime.min.replace(tzinfo=UTC)
        readers: dict[str, Callable[[HistoryEvent], None]] = {
            "workflow_execution_started_event_attributes": self._start,
            "workflow_execution_signaled_event_attributes": self._signal,
            "workflow_task_started_event_attributes": self._wake_up,
            "marker_recorded_event_attributes": self._local_activity,
            "activity_task_scheduled_event_attributes": self._activity_scheduled,
            "activity_task_started_event_attributes": self._activity_started,
            "activity_task_completed_event_attributes": self._activity_completed,
            "activity_task_failed_event_attributes": self._activity_failed,
            "activity_task_timed_out_event_attributes": self._activity_timed_out,
            "timer_started_event_attributes": self._timer_started,
            "timer_fired_event_attributes": self._timer_fired,
            "timer_canceled_event_attributes": self._timer_canceled,
        }
        for event in events:
            reader = readers.get(event.WhichOneof("attributes") or "")
            if reader:
                reader(event)
        self._add_pending(pending)

    @property
    def current(self) -> RunStep | None:
        """The step that an open run is at. None while it works on steps that its history does not have yet."""
        return self.steps[-1] if self.steps and self.steps[-1].end_time is None else None

    @property
    def trouble(self) -> str:
        """What was last in the way of an open run."""
        return next(iter(self._troubles.values()), "")

    def _start(self, event: HistoryEvent) -> None:
        """Go on with the reasons and changes of the run that this one continues; and with what it was begun with."""
        carried = decode(event.workflow_execution_started_event_attributes.input, RunState, self._converter)
        if carried:
            self.reasons, self.changes = list(carried.reasons), list(carried.changes)
            for wakeup in carried.pending:
                self._woken(event, wakeup)

    def _signal(self, event: HistoryEvent) -> None:
        attributes = event.workflow_execution_signaled_event_attributes
        wakeup = decode(attributes.input, WakeSignal, self._converter)
        if attributes.signal_name == SIGNAL and wakeup:
            self._woken(event, wakeup)

    def _woken(self, event: HistoryEvent, wakeup: WakeSignal) -> None:
        self.signals.append(Signal(time=time_of(event.event_time), reasons=wakeup.reasons))
        self.reasons += [why for why in wakeup.reasons if why not in self.reasons]

    def _wake_up(self, event: HistoryEvent) -> None:
        self._clock = time_of(event.event_time)

    def _local_activity(self, event: HistoryEvent) -> None:
        attributes = event.marker_recorded_event_attributes
        if attributes.marker_name != _LOCAL_ACTIVITY:
            return
        data = self._converter.from_payload(attributes.details["data"].payloads[0])
        name = data["activity_type"]
        step = RunStep(name=name, kind="local", start_time=self._clock, attempts=data["attempt"])
        # The clock moves on by how long the activity took.
        step.end_time = self._clock = time_of(Timestamp(**data["complete_time"]))
        self.steps.append(step)
        if attributes.HasField("failure"):
            self._failed(step, attributes.failure)
        else:
            self._succeeded(step, attributes.details["result"])

    def _activity_scheduled(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_scheduled_event_attributes
        name = attributes.activity_type.name
        step = self._begin(event, RunStep(name=name, kind="regular", start_time=time_of(event.event_time)))
        self._by_activity_id[attributes.activity_id] = step

    def _activity_started(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_started_event_attributes
        step = self._open[attributes.scheduled_event_id]
        step.attempts = attributes.attempt
        if attributes.HasField("last_failure"):
            step.failure = _failure(attributes.last_failure)

    def _activity_completed(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_completed_event_attributes
        self._succeeded(self._end(event, attributes.scheduled_event_id), attributes.result)

    def _activity_failed(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_failed_event_attributes
        self._failed(self._end(event, attributes.scheduled_event_id), attributes.failure)

    def _activity_timed_out(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_timed_out_event_attributes
        self._failed(self._end(event, attributes.scheduled_event_id), attributes.failure)

    def _timer_started(self, event: HistoryEvent) -> None:
        timeout = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        step = self._begin(event, RunStep(name="waiting", kind="timer", start_time=time_of(event.event_time)))
        step.next_attempt_time = step.start_time + timeout
        step.result = f"Looks again in {timeout.total_seconds():g} s, or when woken."

    def _timer_fired(self, event: HistoryEvent) -> None:
        step = self._end(event, event.timer_fired_event_attributes.started_event_id)
        step.result = "Waited, and nobody woke it."

    def _timer_canceled(self, event: HistoryEvent) -> None:
        step = self._end(event, event.timer_canceled_event_attributes.started_event_id)
        # This event is written only after the steps for which the workflow was woken.
        step.end_time = self._clock
        step.result = "Woken by a signal."

    def _begin(self, event: HistoryEvent, step: RunStep) -> RunStep:
        self.steps.append(step)
        self._open[event.event_id] = step
        return step

    def _end(self, event: HistoryEvent, begun_by: int) -> RunStep:
        step = self._open.pop(begun_by)
        step.end_time, step.next_attempt_time = time_of(event.event_time), None
        return step

    def _add_pending(self, pending: Iterable[PendingActivityInfo]) -> None:
        """Add what the history does not have yet: an activity's start gets there only together with its end."""
        for activity in pending:
            step = self._by_activity_id.get(activity.activity_id)
            if step is None or step.end_time is not None:
                continue
            step.attempts = activity.attempt
            if activity.HasField("next_attempt_schedule_time"):
                step.next_attempt_time = time_of(activity.next_attempt_schedule_time)
            if activity.HasField("last_failure"):
                self._failed(step, activity.last_failure)

    def _failed(self, step: RunStep, failure: Failure) -> None:
        step.failure = self._troubles[step.name] = _failure(failure)

    def _succeeded(self, step: RunStep, payloads: Payloads) -> None:
        self._troubles.pop(step.name, None)
        if step.name == TAKE_SNAPSHOT:
            self._found(step, decode(payloads, SnapshotResult, self._converter))
            return
        if step.name == CARRY_OUT:
            self._progressed(step, decode(payloads, Progress, self._converter))
            return
        step.result = decode(payloads, str, self._converter)
        if step.name == WRITE_STATUS:
            self._reported(step.result)
        else:
            self._changed(step.result)

    def _found(self, step: RunStep, found: SnapshotResult | None) -> None:
        if found is None:
            return
        step.result = _describe(found)
        self._troubles = {problem.reason: str(problem) for problem in found.problems}
        self._changed(*found.done)

    def _progressed(self, step: RunStep, progress: Progress | None) -> None:
        if progress is None:
            return
        step.result = "; ".join(filter(None, [*progress.changes, progress.reported])) or "Nothing was changed."
        if progress.failure:
            step.failure = self._troubles[step.name] = str(progress.failure)
        self._changed(*progress.changes)
        if progress.reported:
            self._reported(progress.reported)

    def _reported(self, status: str | None) -> None:
        if status != NOTHING_TO_REPORT:
            self.status_written = status

    def _changed(self, *changes: str | None) -> None:
        self.changes += [change for change in changes if change and change not in self.changes]


def _describe(found: SnapshotResult) -> str:
    if not found.exists:
        return "The Experiment does not exist."
    actions = "; ".join(action.description for action in found.actions)
    return " ".join([f"Generation {found.generation}: {actions or 'nothing to change'}.", *map(str, found.problems)])


def _failure(failure: Failure) -> str:
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}" if kind else failure.message
