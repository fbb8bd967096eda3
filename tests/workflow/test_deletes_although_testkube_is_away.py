"""A deletion stops what still runs in Testkube, and waits for a Testkube that is away no longer than a minute."""

from __future__ import annotations

from datetime import timedelta
from itertools import repeat

import pytest
from temporalio.exceptions import ApplicationError

from experiments.plan import Step

CLEAN_UP = (
    Step.DELETE_TEST_TRIGGER,
    Step.DELETE_TEST_WORKFLOW,
    Step.ABORT_EXECUTIONS,
    Step.DELETE_CONFIG_MAP,
    Step.REMOVE_FINALIZER,
)
AWAY = ApplicationError("POST http://testkube/v1/…: connection refused", type="TestkubeUnavailable")


async def test_executions_are_aborted_as_an_activity_that_the_ui_shows(experiment):
    experiment.finds(*CLEAN_UP, deleting=True, news=False)
    result = await (await experiment.start("deleted")).result()
    assert [call.local for call in experiment.calls if call.step == Step.ABORT_EXECUTIONS] == [False]
    assert result.changes == [f"did {step}" for step in CLEAN_UP]


async def test_it_is_tried_again_while_testkube_is_away(experiment):
    experiment.finds(*CLEAN_UP, deleting=True, news=False)
    experiment.fails(Step.ABORT_EXECUTIONS, [AWAY] * 3)
    result = await (await experiment.start("deleted")).result()
    assert experiment.steps.count(Step.ABORT_EXECUTIONS) == 4
    assert result.changes == [f"did {step}" for step in CLEAN_UP]


async def test_after_less_than_a_minute_the_clean_up_goes_on_and_says_so(experiment):
    experiment.finds(*CLEAN_UP, deleting=True, news=False)
    experiment.fails(Step.ABORT_EXECUTIONS, repeat(AWAY))
    handle = await experiment.start("deleted")
    result = await handle.result()
    described = await handle.describe()
    assert described.close_time - described.start_time < timedelta(minutes=1)
    said = "could not abort_executions please, some may hang: POST http://testkube/v1/…: connection refused"
    assert result.changes == [
        *(f"did {step}" for step in CLEAN_UP[:2]),
        said,
        *(f"did {step}" for step in CLEAN_UP[3:]),
    ]
    assert result.outcome == "CleanedUp"
    report = experiment.requests("write_status")[0]
    assert (report.failed.step, report.failure.reason) == (Step.ABORT_EXECUTIONS, "TestkubeUnavailable")
    assert experiment.steps.index("write_status") < experiment.steps.index(Step.DELETE_CONFIG_MAP)


async def test_a_deletion_that_looks_again_does_not_wait_for_testkube_again(experiment):
    experiment.finds(*CLEAN_UP, deleting=True, news=False)
    experiment.fails(Step.ABORT_EXECUTIONS, repeat(AWAY))
    experiment.fails(Step.DELETE_CONFIG_MAP, [ApplicationError("changed", type="Stale", non_retryable=True)])
    result = await (await experiment.start("deleted")).result()
    assert len([change for change in result.changes if change.startswith("could not")]) == 1
    assert len([request for request in experiment.requests("write_status") if request.failure]) == 1


@pytest.mark.parametrize("refused", [ApplicationError("no such thing", type="TestkubeUnavailable", non_retryable=True)])
async def test_a_refusal_is_not_repeated(experiment, refused):
    experiment.finds(*CLEAN_UP, deleting=True, news=False)
    experiment.fails(Step.ABORT_EXECUTIONS, [refused])
    result = await (await experiment.start("deleted")).result()
    assert experiment.steps.count(Step.ABORT_EXECUTIONS) == 1
    assert result.outcome == "CleanedUp"
