"""A step that fails for a passing reason goes on as a regular activity: Temporal repeats it and shows attempts."""

from __future__ import annotations

from datetime import timedelta
from itertools import repeat

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import ApplicationError

from experiments.plan import Step
from support.polling import until

AWAY = ApplicationError("the API server is away", type="ApiUnavailable")


def attempts(experiment, step):
    return [(call.local, call.attempt) for call in experiment.calls if call.step == step]


@pytest.mark.parametrize("step", ["take_snapshot", Step.APPLY_CONFIG_MAP, "write_status"])
async def test_any_step_is_repeated_until_it_works(experiment, step):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(step, [AWAY] * 3)
    result = await (await experiment.start("generation 1")).result()
    assert attempts(experiment, step) == [(True, 1), (False, 1), (False, 2), (False, 3)]
    assert (result.outcome, result.changes) == ("Reconciled", ["did apply_config_map"])


async def test_the_steps_before_it_are_not_repeated(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW)
    experiment.fails(Step.APPLY_TEST_WORKFLOW, [AWAY])
    await (await experiment.start("generation 1")).result()
    assert experiment.steps == [
        "take_snapshot",
        "apply_config_map",
        "apply_test_workflow",
        "apply_test_workflow",
        "write_status",
    ]


@pytest.mark.parametrize("step", ["take_snapshot", "write_status"])
async def test_without_snapshot_or_status_there_is_no_giving_up(experiment, step):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(step, [AWAY] * 10)
    result = await (await experiment.start("generation 1")).result()
    assert attempts(experiment, step)[-1] == (False, 10)
    assert result.outcome == "Reconciled"


async def test_while_it_is_repeated_temporal_shows_attempts_and_last_failure(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(Step.APPLY_CONFIG_MAP, repeat(AWAY))
    handle = await experiment.start("generation 1")

    async def shown():
        pending = (await handle.describe()).raw_description.pending_activities
        return [activity for activity in pending if activity.attempt > 1]

    [activity] = await until(shown)
    assert activity.activity_type.name == "apply_config_map"
    assert activity.last_failure.message == "the API server is away"


async def test_it_comes_back_when_the_api_server_has_asked_for_it(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    busy = ApplicationError("too many requests", type="ApiUnavailable", next_retry_delay=timedelta(seconds=25))
    experiment.fails(Step.APPLY_CONFIG_MAP, [busy, busy])
    handle = await experiment.start("generation 1")
    await handle.result()
    times = {event.event_type: event.event_time.ToDatetime() for event in (await handle.fetch_history()).events}
    scheduled = times[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    # Of a regular activity, history has the start of the attempt that ended it.
    assert times[EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED] - scheduled >= timedelta(seconds=25)
