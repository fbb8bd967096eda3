"""Temporal's UI shows a run as a timeline: each step says what it does to which object, each wait why and how long."""

from __future__ import annotations

import json

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import ApplicationError

from experiments.contract import ActionRequest, PlannedAction, Target
from experiments.plan import Step

_STEPS = {
    EventType.EVENT_TYPE_MARKER_RECORDED: "local",
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "regular",
    EventType.EVENT_TYPE_TIMER_STARTED: "timer",
}


@pytest.fixture
def timeline():
    """`await timeline(handle)`: kind and summary of each step of a run, in order."""

    async def read(handle):
        events = (await handle.fetch_history()).events
        return [
            (_STEPS[event.event_type], json.loads(event.user_metadata.summary.data))
            for event in events
            if event.event_type in _STEPS
        ]

    return read


async def test_each_step_says_what_it_does_to_which_object(experiment, timeline):
    name = f"Experiment default/{experiment.target.name}"
    experiment.finds(Step.ADD_FINALIZER, Step.APPLY_TEST_WORKFLOW)
    experiment.fails(Step.APPLY_TEST_WORKFLOW, [ApplicationError("the API server is away", type="ApiUnavailable")])
    handle = await experiment.start("generation 1")
    await handle.result()
    assert await timeline(handle) == [
        ("local", f"read {name}"),
        ("local", f"add_finalizer please of {name}"),
        ("local", "apply_test_workflow please"),
        ("regular", "apply_test_workflow please"),
        ("local", f"write status of {name}"),
    ]


async def test_a_wait_says_why_and_how_long(experiment, timeline):
    experiment.finds(problem=("TemplateMissing", "There is no run-template."), times=4)
    experiment.finds()
    handle = await experiment.start("generation 1")
    await handle.result()
    waits = [summary for kind, summary in await timeline(handle) if kind == "timer"]
    assert waits[-1] == "TemplateMissing: next attempt in 8 s"


async def test_what_is_aborted_is_named(experiment, timeline):
    experiment.finds(Step.ABORT_EXECUTIONS, deleting=True)
    handle = await experiment.start("deleted")
    await handle.result()
    assert ("regular", "abort_executions please") in await timeline(handle)


def test_a_line_is_never_longer_than_temporal_takes():
    """It takes 400 bytes, as JSON."""
    action = PlannedAction("apply_test_workflow", "TestWorkflow", "testkube", "x", 'change x ("🌦")' * 100)
    summary = ActionRequest(Target("default", "x", "u"), action).summary
    assert summary.startswith("change x")
    assert len(json.dumps(summary, ensure_ascii=False).encode()) <= 400
