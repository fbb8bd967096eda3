"""How a run ended, read from the last event of its Temporal history. Pure.

`visibility` fetches the event. It may be older than this code: what it holds and this code no longer understands is
left out, never an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadConverter

from experiments.contract import Result, RunState

_T = TypeVar("_T")
_UNREADABLE = Result(outcome="", message="", generation=0, reasons=[], changes=[])

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
    time = time_of(event.event_time)
    ended = None
    match event.WhichOneof("attributes"):
        case "workflow_execution_completed_event_attributes":
            completed = event.workflow_execution_completed_event_attributes
            result = decode(completed.result, Result, converter) or _UNREADABLE
            outcome = result.outcome or "Completed"
            ended = CloseEvent("Completed", outcome, result.message, time, result.reasons, result.changes)
        case "workflow_execution_failed_event_attributes":
            failure = event.workflow_execution_failed_event_attributes.failure
            info = failure.application_failure_info
            result = decode(info.details, Result, converter) or _UNREADABLE
            ended = CloseEvent("Failed", info.type or "Failed", failure.message, time, result.reasons, result.changes)
        case "workflow_execution_continued_as_new_event_attributes":
            carried = decode(event.workflow_execution_continued_as_new_event_attributes.input, RunState, converter)
            reasons, changes = (carried.reasons, carried.changes) if carried else ([], [])
            message = "It waited so long that it went on as a new run."
            ended = CloseEvent("ContinuedAsNew", "ContinuedAsNew", message, time, reasons, changes)
        case "workflow_execution_terminated_event_attributes":
            message = event.workflow_execution_terminated_event_attributes.reason or "Somebody terminated it."
            ended = CloseEvent("Terminated", "Terminated", message, time)
        case "workflow_execution_canceled_event_attributes":
            ended = CloseEvent("Canceled", "Canceled", "Somebody cancelled it.", time)
        case "workflow_execution_timed_out_event_attributes":
            ended = CloseEvent("TimedOut", "TimedOut", "It did not end in the time it was given.", time)
    return ended


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
