"""What keeps failing is said in the status, and the run stays open until it works."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from experiments.plan import Step

AWAY = ApplicationError("the API server is away", type="ApiUnavailable")
FORBIDDEN = ApplicationError("may not create ConfigMap", type="Forbidden", non_retryable=True)


async def test_an_action_gives_up_after_five_attempts_and_the_status_says_why(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW)
    experiment.fails(Step.APPLY_TEST_WORKFLOW, [AWAY] * 6)
    await (await experiment.start("generation 1")).result()
    first_pass = experiment.steps[: experiment.steps.index("write_status") + 1]
    assert first_pass == ["take_snapshot", "apply_config_map", *["apply_test_workflow"] * 6, "write_status"]
    report = experiment.requests("write_status")[0]
    assert (report.failure.reason, report.failure.message) == ("ApiUnavailable", "the API server is away")
    assert report.failed.step == "apply_test_workflow"
    assert report.changes == ["did apply_config_map"]


async def test_a_refusal_is_reported_without_another_attempt(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(Step.APPLY_CONFIG_MAP, [FORBIDDEN])
    await (await experiment.start("generation 1")).result()
    assert experiment.steps[:3] == ["take_snapshot", "apply_config_map", "write_status"]
    assert experiment.requests("write_status")[0].failure.reason == "Forbidden"


async def test_no_action_is_tried_after_one_that_failed(experiment):
    experiment.finds(Step.DELETE_TEST_TRIGGER, Step.DELETE_TEST_WORKFLOW, Step.REMOVE_FINALIZER, deleting=True)
    experiment.fails(Step.DELETE_TEST_WORKFLOW, [FORBIDDEN])
    await (await experiment.start("deleted")).result()
    first_pass = experiment.steps[: experiment.steps.index("write_status")]
    assert first_pass == ["take_snapshot", "delete_test_trigger", "delete_test_workflow"]


async def test_then_the_run_looks_again_and_ends_well(experiment, pauses):
    experiment.finds(Step.APPLY_CONFIG_MAP, times=4)
    experiment.finds(news=False)
    experiment.fails(Step.APPLY_CONFIG_MAP, [FORBIDDEN] * 3)
    handle = await experiment.start("generation 1")
    result = await handle.result()
    assert await pauses(handle) == [1, 2, 4]
    assert (result.outcome, result.changes) == ("Reconciled", ["did apply_config_map"])


async def test_an_error_of_no_known_kind_is_a_defect_of_this_service(experiment, pauses):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(Step.APPLY_CONFIG_MAP, [KeyError("spec")] * 6)
    handle = await experiment.start("generation 1")
    result = await handle.result()
    failure = experiment.requests("write_status")[0].failure
    assert failure.reason == "InternalError"
    assert failure.message == "apply_config_map: KeyError: 'spec'"
    assert await pauses(handle) == [1]
    assert result.outcome == "Reconciled", "a new version may have cured it"


@pytest.mark.parametrize("step", ["take_snapshot", "write_status"])
async def test_a_run_stays_open_where_even_reading_or_reporting_is_refused(experiment, pauses, step):
    experiment.finds()
    experiment.fails(step, [FORBIDDEN] * 2)
    handle = await experiment.start("generation 1")
    result = await handle.result()
    assert await pauses(handle) == [1, 2]
    assert experiment.steps[-2:] == ["take_snapshot", "write_status"]
    assert result.outcome == "Reconciled"


async def test_a_problem_in_the_plan_is_not_an_actions_failure(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, problem=("TemplateMissing", "no run-template"))
    experiment.finds()
    await (await experiment.start("generation 1")).result()
    report = experiment.requests("write_status")[0]
    assert (report.changes, report.failed, report.failure) == (["did apply_config_map"], None, None)
