"""What a run did, read from its Temporal history: steps, signals, and how it ended. Pure.

`runs` fetches the events, the workflow in `worker` causes them. A history may be older than this code: what it holds
and this code no longer understands is left out, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import PayloadConverter

from experiments.models import Part
from experiments.reconciliation import SIGNAL, TAKE_SNAPSHOT, Findings, Reconcile, Result, Wakeup

_T = TypeVar("_T")
_LOCAL_ACTIVITY = "core_local_activity"


class Step(Part, frozen=False):
    """One step of a run. `result` and `failure` are in words; `failure` is that of the last attempt that failed.

    A step that is tried as a local activity first and then as a regular one appears as both. Times of local steps are
    by the workflow's clock, which stands still between steps: durations are exact, what lies between them is missing.
    """

    name: str
    kind: Literal["local", "regular", "timer"]
    start_time: datetime
    end_time: datetime | None = None
    attempts: int = 1
    result: str | None = None
    failure: str | None = None


class Signal(Part):
    """Further reasons that came while the run was open; the first one started it."""

    time: datetime
    reasons: list[str]


@dataclass(frozen=True)
class Ending:
    """How a run ended. `outcome` is the result's, the reason of a failure, or Temporal's own word for another end."""

    status: Literal["Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew"]
    outcome: str
    message: str
    time: datetime
    reasons: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def ending(event: HistoryEvent, converter: PayloadConverter) -> Ending | None:
    """None when `event`, the last of a run, is not its end."""
    reader = _ENDINGS.get(event.WhichOneof("attributes") or "")
    return reader(event, converter) if reader else None


def _completed(event: HistoryEvent, converter: PayloadConverter) -> Ending:
    result = _decode(event.workflow_execution_completed_event_attributes.result, Result, converter) or _UNREADABLE
    outcome = result.outcome or "Completed"
    return Ending("Completed", outcome, result.message, _time(event.event_time), result.reasons, result.changes)


def _failed(event: HistoryEvent, converter: PayloadConverter) -> Ending:
    failure = event.workflow_execution_failed_event_attributes.failure
    info = failure.application_failure_info
    result = _decode(info.details, Result, converter) or _UNREADABLE
    outcome = info.type or "Failed"
    return Ending("Failed", outcome, failure.message, _time(event.event_time), result.reasons, result.changes)


def _continued(event: HistoryEvent, converter: PayloadConverter) -> Ending:
    carried = _decode(event.workflow_execution_continued_as_new_event_attributes.input, Reconcile, converter)
    reasons, changes = (carried.reasons, carried.changes) if carried else ([], [])
    message = "It waited so long that it went on as a new run."
    return Ending("ContinuedAsNew", "ContinuedAsNew", message, _time(event.event_time), reasons, changes)


def _terminated(event: HistoryEvent, _: PayloadConverter) -> Ending:
    reason = event.workflow_execution_terminated_event_attributes.reason
    return Ending("Terminated", "Terminated", reason or "Somebody terminated it.", _time(event.event_time))


def _canceled(event: HistoryEvent, _: PayloadConverter) -> Ending:
    return Ending("Canceled", "Canceled", "Somebody cancelled it.", _time(event.event_time))


def _timed_out(event: HistoryEvent, _: PayloadConverter) -> Ending:
    return Ending("TimedOut", "TimedOut", "It did not end in the time it was given.", _time(event.event_time))


_UNREADABLE = Result(outcome="", message="", generation=0, reasons=[], changes=[])
_ENDINGS: dict[str, Callable[[HistoryEvent, PayloadConverter], Ending]] = {
    "workflow_execution_completed_event_attributes": _completed,
    "workflow_execution_failed_event_attributes": _failed,
    "workflow_execution_continued_as_new_event_attributes": _continued,
    "workflow_execution_terminated_event_attributes": _terminated,
    "workflow_execution_canceled_event_attributes": _canceled,
    "workflow_execution_timed_out_event_attributes": _timed_out,
}


class Timeline:
    """The steps and signals of a run, in order. `pending` tells of the regular activities that are under way now."""

    def __init__(
        self, events: Iterable[HistoryEvent], pending: Iterable[PendingActivityInfo], converter: PayloadConverter
    ) -> None:
        self.steps: list[Step] = []
        self.signals: list[Signal] = []
        self._converter = converter
        self._open: dict[int, Step] = {}  # by the id of the event that began it
        self._by_activity_id: dict[str, Step] = {}
        self._clock = datetime.min.replace(tzinfo=UTC)
        readers: dict[str, Callable[[HistoryEvent], None]] = {
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

    def _signal(self, event: HistoryEvent) -> None:
        attributes = event.workflow_execution_signaled_event_attributes
        wakeup = _decode(attributes.input, Wakeup, self._converter)
        if attributes.signal_name == SIGNAL and wakeup:
            self.signals.append(Signal(time=_time(event.event_time), reasons=wakeup.reasons))

    def _wake_up(self, event: HistoryEvent) -> None:
        self._clock = _time(event.event_time)

    def _local_activity(self, event: HistoryEvent) -> None:
        attributes = event.marker_recorded_event_attributes
        if attributes.marker_name != _LOCAL_ACTIVITY:
            return
        data = self._converter.from_payload(attributes.details["data"].payloads[0])
        name = data["activity_type"]
        step = Step(name=name, kind="local", start_time=self._clock, attempts=data["attempt"])
        # The clock moves on by how long the activity took.
        step.end_time = self._clock = _time(Timestamp(**data["complete_time"]))
        if attributes.HasField("failure"):
            step.failure = _failure(attributes.failure)
        else:
            step.result = self._result(name, attributes.details["result"])
        self.steps.append(step)

    def _activity_scheduled(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_scheduled_event_attributes
        name = attributes.activity_type.name
        step = self._begin(event, Step(name=name, kind="regular", start_time=_time(event.event_time)))
        self._by_activity_id[attributes.activity_id] = step

    def _activity_started(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_started_event_attributes
        step = self._open[attributes.scheduled_event_id]
        step.attempts = attributes.attempt
        if attributes.HasField("last_failure"):
            step.failure = _failure(attributes.last_failure)

    def _activity_completed(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_completed_event_attributes
        step = self._end(event, attributes.scheduled_event_id)
        step.result = self._result(step.name, attributes.result)

    def _activity_failed(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_failed_event_attributes
        self._end(event, attributes.scheduled_event_id).failure = _failure(attributes.failure)

    def _activity_timed_out(self, event: HistoryEvent) -> None:
        attributes = event.activity_task_timed_out_event_attributes
        self._end(event, attributes.scheduled_event_id).failure = _failure(attributes.failure)

    def _timer_started(self, event: HistoryEvent) -> None:
        timeout = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        step = self._begin(event, Step(name="waiting", kind="timer", start_time=_time(event.event_time)))
        step.result = f"Looks again in {_seconds(timeout)}, or when woken."

    def _timer_fired(self, event: HistoryEvent) -> None:
        step = self._end(event, event.timer_fired_event_attributes.started_event_id)
        step.result = "Waited, and nobody woke it."

    def _timer_canceled(self, event: HistoryEvent) -> None:
        step = self._end(event, event.timer_canceled_event_attributes.started_event_id)
        # This event is written only after the steps for which the workflow was woken.
        step.end_time = self._clock
        step.result = "Woken by a signal."

    def _begin(self, event: HistoryEvent, step: Step) -> Step:
        self.steps.append(step)
        self._open[event.event_id] = step
        return step

    def _end(self, event: HistoryEvent, begun_by: int) -> Step:
        step = self._open.pop(begun_by)
        step.end_time = _time(event.event_time)
        return step

    def _add_pending(self, pending: Iterable[PendingActivityInfo]) -> None:
        """The start of an activity gets into the history only together with its end."""
        for activity in pending:
            step = self._by_activity_id.get(activity.activity_id)
            if step is None or step.end_time is not None:
                continue
            step.attempts = activity.attempt
            if activity.HasField("last_failure"):
                step.failure = _failure(activity.last_failure)

    def _result(self, name: str, payloads: Payloads) -> str | None:
        if name != TAKE_SNAPSHOT:
            return _decode(payloads, str, self._converter)
        findings = _decode(payloads, Findings, self._converter)
        return _findings(findings) if findings else None


def _findings(findings: Findings) -> str:
    if not findings.exists:
        return "The Experiment does not exist."
    actions = "; ".join(action.description for action in findings.actions)
    problems = [f"{problem.reason}: {problem.message}" for problem in findings.problems]
    return " ".join([f"Generation {findings.generation}: {actions or 'nothing to change'}.", *problems])


def _failure(failure: Failure) -> str:
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}" if kind else failure.message


def _decode(payloads: Payloads, hint: type[_T], converter: PayloadConverter) -> _T | None:
    """The only one of `payloads`, or None where it is not, or no longer, a `hint`."""
    try:
        [payload] = payloads.payloads
        value = converter.from_payload(payload, hint)
    except (ValueError, KeyError, RuntimeError):
        return None
    return value if isinstance(value, hint) else None


def _time(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
