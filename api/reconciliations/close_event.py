"""How a run ended, read from the last event of its Temporal history. Pure.

`visibility` fetches the event. It may be older than this code: what it holds and this code no longer understands is
left out, never an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadConverter

from experiments.contract import Result, RunState

_T = TypeVar("_T")

Closed: TypeAlias = Literal["Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew"]


@dataclass(frozen=True)
class CloseEvent:
    """How a run ended. `outcome` is the result's, the reason of a failure, or Temporal's own word for another end."""

    status: Closed
    outcome: str
    message: str
    time: datetime
    reasons: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def read_close_event(event: HistoryEvent, converter: PayloadConverter) -> CloseEvent | None:
    """Read the last event of a run. None where that is not its end."""
    reader = _READERS.get(event.WhichOneof("attributes") or "")
    return reader(event, converter) if reader else None


def _completed(event: HistoryEvent, converter: PayloadConverter) -> CloseEvent:
    result = decode(event.workflow_execution_completed_event_attributes.result, Result, converter) or _UNREADABLE
    outcome = result.outcome or "Completed"
    return CloseEvent("Completed", outcome, result.message, time_of(event.event_time), result.reasons, result.changes)


def _failed(event: HistoryEvent, converter: PayloadConverter) -> CloseEvent:
    failure = event.workflow_execution_failed_event_attributes.failure
    info = failure.application_failure_info
    result = decode(info.details, Result, converter) or _UNREADABLE
    outcome = info.type or "Failed"
    return CloseEvent("Failed", outcome, failure.message, time_of(event.event_time), result.reasons, result.changes)


def _continued(event: HistoryEvent, converter: PayloadConverter) -> CloseEvent:
    carried = decode(event.workflow_execution_continued_as_new_event_attributes.input, RunState, converter)
    reasons, changes = (carried.reasons, carried.changes) if carried else ([], [])
    message = "It waited so long that it went on as a new run."
    return CloseEvent("ContinuedAsNew", "ContinuedAsNew", message, time_of(event.event_time), reasons, changes)


def _terminated(event: HistoryEvent, _: PayloadConverter) -> CloseEvent:
    reason = event.workflow_execution_terminated_event_attributes.reason
    return CloseEvent("Terminated", "Terminated", reason or "Somebody terminated it.", time_of(event.event_time))


def _canceled(event: HistoryEvent, _: PayloadConverter) -> CloseEvent:
    return CloseEvent("Canceled", "Canceled", "Somebody cancelled it.", time_of(event.event_time))


def _timed_out(event: HistoryEvent, _: PayloadConverter) -> CloseEvent:
    return CloseEvent("TimedOut", "TimedOut", "It did not end in the time it was given.", time_of(event.event_time))


_UNREADABLE = Result(outcome="", message="", generation=0, reasons=[], changes=[])
_READERS: dict[str, Callable[[HistoryEvent, PayloadConverter], CloseEvent]] = {
    "workflow_execution_completed_event_attributes": _completed,
    "workflow_execution_failed_event_attributes": _failed,
    "workflow_execution_continued_as_new_event_attributes": _continued,
    "workflow_execution_terminated_event_attributes": _terminated,
    "workflow_execution_canceled_event_attributes": _canceled,
    "workflow_execution_timed_out_event_attributes": _timed_out,
}


def decode(payloads: Payloads, hint: type[_T], converter: PayloadConverter) -> _T | None:
    """Decode the only one of `payloads`; None where it is not, or no longer, a `hint`."""
    try:
        [payload] = payloads.payloads
        value = converter.from_payload(payload, hint)
    except (ValueError, KeyError, RuntimeError):
        return None
    return value if isinstance(value, hint) else None


def time_of(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
