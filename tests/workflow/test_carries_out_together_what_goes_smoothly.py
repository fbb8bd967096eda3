"""What a plan only has to put there is carried out in one step; what fails there is told, or tried again, by itself."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from experiments.plan import Step

STALE = ApplicationError("ConfigMap testkube/weather: changed meanwhile", type="Stale", non_retryable=True)
ALL = (Step.ADD_FINALIZER, Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW, Step.APPLY_TEST_TRIGGER)


async def test_one_step_does_them_all(experiment):
    experiment.finds(*ALL, together=4)
    experiment.goes("a", "b", "c", "d")
    result = await (await experiment.start("generation 1")).result()
    assert experiment.steps == ["take_snapshot", "carry_out", "write_status"]
    [request] = experiment.requests("carry_out")
    assert [action.step for action in request.actions] == list(ALL)
    assert result.changes == experiment.requests("write_status")[0].changes == ["a", "b", "c", "d"]


async def test_the_status_is_written_in_the_same_step_where_nothing_else_is_to_be_done(experiment):
    experiment.finds(*ALL, together=4, reportable=True)
    experiment.goes("a", "b", "c", "d", reported="Ready=True")
    result = await (await experiment.start("generation 1")).result()
    assert experiment.steps == ["take_snapshot", "carry_out"]
    [request] = experiment.requests("carry_out")
    assert request.summary.endswith("; write status")
    assert result.changes == ["a", "b", "c", "d"]


async def test_a_status_that_could_not_be_written_there_is_written_by_itself(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, together=1, reportable=True)
    experiment.goes("a")
    await (await experiment.start("generation 1")).result()
    assert experiment.steps == ["take_snapshot", "carry_out", "write_status"]
    [report] = experiment.requests("write_status")
    assert report.changes == ["a"]


async def test_what_an_earlier_pass_could_not_say_is_said_in_the_same_step(experiment):
    experiment.finds(Step.DELETE_TEST_TRIGGER, Step.DELETE_TEST_WORKFLOW)
    experiment.finds(Step.APPLY_CONFIG_MAP, together=1, reportable=True)
    experiment.fails(Step.DELETE_TEST_WORKFLOW, [STALE])
    experiment.goes("b", reported="Ready=True")
    result = await (await experiment.start("generation 1")).result()
    [request] = experiment.requests("carry_out")
    assert request.report.changes == ["did delete_test_trigger"]
    assert result.changes == ["did delete_test_trigger", "b"]


async def test_one_alone_has_a_step_of_its_own(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, together=1)
    await (await experiment.start("ConfigMap edited by kubectl")).result()
    assert experiment.steps == ["take_snapshot", "apply_config_map", "write_status"]


async def test_what_may_go_better_is_tried_again_by_itself_and_nothing_twice(experiment):
    experiment.finds(*ALL, Step.DELETE_TEST_TRIGGER, together=4)
    experiment.goes("a", "b")
    result = await (await experiment.start("generation 1")).result()
    assert experiment.steps[1:-1] == ["carry_out", *ALL[2:], "delete_test_trigger"]
    assert result.changes[:3] == ["a", "b", "did apply_test_workflow"]


async def test_a_step_that_is_lost_is_taken_action_by_action(experiment):
    experiment.finds(*ALL, together=4)
    experiment.fails("carry_out", [RuntimeError("the worker has no memory left")])
    await (await experiment.start("generation 1")).result()
    assert experiment.steps == ["take_snapshot", "carry_out", *ALL, "write_status"]


async def test_what_only_a_person_can_help_is_reported_at_once(experiment):
    experiment.finds(*ALL, together=4)
    experiment.goes("a", failure=("InvalidSpec", "There is nothing like it."))
    with pytest.raises(WorkflowFailureError) as failed:
        await (await experiment.start("generation 1")).result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "InvalidSpec"
    assert experiment.steps == ["take_snapshot", "carry_out", "write_status"]
    [report] = experiment.requests("write_status")
    assert (report.changes, report.failed.step) == (["a"], "apply_config_map")


async def test_a_changed_cluster_is_looked_at_again(experiment):
    experiment.finds(*ALL, together=4)
    experiment.finds(news=False)
    experiment.goes("a", failure=("Stale", "changed meanwhile"))
    result = await (await experiment.start("generation 1")).result()
    assert experiment.steps == ["take_snapshot", "carry_out", "take_snapshot", "write_status"]
    assert result.changes == ["a"]


async def test_what_was_done_by_a_step_that_is_lost_is_reported(experiment):
    experiment.finds(*ALL, together=4)
    experiment.fails("carry_out", [RuntimeError("it took too long")])
    experiment.fails("add_finalizer", [ApplicationError("not needed any more", type="Stale", non_retryable=True)])
    experiment.finds(news=False, done=["a", "b"], unreported=["b"])
    result = await (await experiment.start("generation 1")).result()
    [report] = experiment.requests("write_status")
    assert (result.changes, report.changes) == (["a", "b"], ["b"])
