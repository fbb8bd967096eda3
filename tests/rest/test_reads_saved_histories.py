"""Reads a history as a server once sent it, and takes no harm from one that another version wrote.

The saved run: the ConfigMap could be created only at the third attempt, then a gateway was missing, first nobody came,
then somebody created it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from api.reconciliations.close_event import CloseEvent, read_close_event
from api.reconciliations.history import Timeline
from experiments.contract import RunState, Target

_CONVERTER = pydantic_data_converter.payload_converter
_REFUSED = "ApiUnavailable: create ConfigMap testkube/weather-experiment.default: connection refused"
_NO_GATEWAY = "GatewayMissing: AiGateway ai-gateway/judge does not exist."


@pytest.fixture
def events(saved):
    return WorkflowHistory.from_json("weather", saved("waited_and_retried")).events


def test_tells_the_story_of_a_run(events):
    steps = Timeline(events, [], _CONVERTER).steps
    create_config_map = "create ConfigMap testkube/weather-experiment.default"
    create_workflow = "create TestWorkflow testkube/weather-workflow.default"
    assert [(s.name, s.kind, s.attempts, s.result, s.failure) for s in steps] == [
        ("take_snapshot", "local", 1, f"Generation 1: {create_config_map}. {_NO_GATEWAY}", None),
        ("apply_config_map", "local", 1, None, _REFUSED),
        ("apply_config_map", "regular", 2, create_config_map.replace("create", "created"), _REFUSED),
        ("write_status", "local", 1, "status written", None),
        ("waiting", "timer", 1, "Waited, and nobody woke it.", None),
        ("take_snapshot", "local", 1, f"Generation 1: nothing to change. {_NO_GATEWAY}", None),
        ("waiting", "timer", 1, "Woken by a signal.", None),
        ("take_snapshot", "local", 1, f"Generation 1: {create_workflow}.", None),
        ("apply_test_workflow", "local", 1, create_workflow.replace("create", "created"), None),
        ("write_status", "local", 1, "status written", None),
    ]


def test_no_step_begins_before_the_one_before_it_has_ended(events):
    times = [time for step in Timeline(events, [], _CONVERTER).steps for time in (step.start_time, step.end_time)]
    assert times == sorted(times)


def test_tells_what_woke_the_run_and_how_it_ended(events):
    signals = Timeline(events, [], _CONVERTER).signals
    assert [signal.reasons for signal in signals] == [["generation 1"], ["AiGateway created"]]
    end = read_close_event(events[-1], _CONVERTER)
    assert (end.status, end.outcome, end.reasons) == ("Completed", "Reconciled", ["generation 1", "AiGateway created"])
    assert len(end.changes) == 2


def _timeline(kind: str) -> Timeline:
    file = Path(__file__).parents[1] / "workflow" / "histories" / f"{kind}.json"
    return Timeline(WorkflowHistory.from_json("weather", file.read_text()).events, [], _CONVERTER)


def test_tells_what_was_carried_out_in_one_step_and_what_a_run_was_begun_with():
    timeline = _timeline("carried_out_together")
    assert [(step.name, step.result) for step in timeline.steps[1:3]] == [
        ("carry_out", "added finalizer; created ConfigMap"),
        ("apply_test_workflow", "did apply_test_workflow"),
    ]
    assert timeline.changes == ["added finalizer", "created ConfigMap", "did apply_test_workflow"]
    assert [signal.reasons for signal in timeline.signals] == [["generation 1"]] == [timeline.reasons]


def test_tells_the_status_that_was_written_in_the_same_step():
    timeline = _timeline("reported_in_the_same_step")
    status = "Ready=True Reconciled: all is well"
    assert [step.name for step in timeline.steps] == ["take_snapshot", "carry_out"]
    assert timeline.steps[1].result == f"added finalizer; created ConfigMap; {status}"
    assert timeline.status_written == status


def test_an_open_timer_says_how_long_it_waits_at_most(events):
    started = next(i for i, event in enumerate(events) if event.HasField("timer_started_event_attributes"))
    last = Timeline(events[: started + 1], [], _CONVERTER).steps[-1]
    assert (last.result, last.end_time) == ("Looks again in 1 s, or when woken.", None)
    assert read_close_event(events[started], _CONVERTER) is None


@pytest.mark.parametrize("data", [b"{}", b"[]", b'"text"', b"17", b"null", b'{"outcome":', b"\xff"])
def test_what_another_version_wrote_is_left_out(events, data):
    for event in events:
        _replace_payloads(event, Payload(metadata={"encoding": b"json/plain"}, data=data))
    timeline = Timeline(events, [], _CONVERTER)
    assert [step.name for step in timeline.steps][:3] == ["take_snapshot", "apply_config_map", "apply_config_map"]
    assert read_close_event(events[-1], _CONVERTER).outcome == "Completed"


def test_an_encoding_that_is_not_known_is_left_out(events):
    for event in events:
        _replace_payloads(event, Payload(metadata={"encoding": b"binary/encrypted"}, data=b"?"))
    assert len(Timeline(events, [], _CONVERTER).steps) == 10
    assert read_close_event(events[-1], _CONVERTER).outcome == "Completed"


def _replace_payloads(event: HistoryEvent, payload: Payload) -> None:
    """What this project wrote: results and signals. A marker's own data is the SDK's."""
    match kind := event.WhichOneof("attributes"):
        case "marker_recorded_event_attributes":
            payloads = event.marker_recorded_event_attributes.details["result"]
        case "activity_task_completed_event_attributes" | "workflow_execution_completed_event_attributes":
            payloads = getattr(event, kind).result
        case "workflow_execution_signaled_event_attributes":
            payloads = event.workflow_execution_signaled_event_attributes.input
        case _:
            return
    for old in payloads.payloads:
        old.CopyFrom(payload)


def test_a_run_that_went_on_as_a_new_one_hands_on_what_it_did():
    carried = RunState(Target("default", "weather", "u"), reasons=["generation 1"], changes=["created ConfigMap a/b"])
    event = HistoryEvent()
    event.workflow_execution_continued_as_new_event_attributes.input.CopyFrom(_CONVERTER.to_payloads_wrapper([carried]))
    end = read_close_event(event, _CONVERTER)
    assert (end.outcome, end.reasons, end.changes) == ("ContinuedAsNew", ["generation 1"], ["created ConfigMap a/b"])


@pytest.mark.parametrize(
    ("attributes", "outcome"),
    [
        ("workflow_execution_failed_event_attributes", "Failed"),
        ("workflow_execution_timed_out_event_attributes", "TimedOut"),
        ("workflow_execution_canceled_event_attributes", "Canceled"),
        ("workflow_execution_terminated_event_attributes", "Terminated"),
    ],
)
def test_a_run_that_left_no_result_still_has_an_outcome(attributes, outcome):
    event = HistoryEvent()
    getattr(event, attributes).SetInParent()
    end = read_close_event(event, _CONVERTER)
    assert isinstance(end, CloseEvent)
    assert (end.status, end.outcome, end.changes) == (outcome, outcome, [])
