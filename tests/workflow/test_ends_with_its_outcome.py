"""How a run ends is what the list of runs shows: Completed with a result in words, or Failed with the reason."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from experiments.errors import BY_REASON, Terminal
from experiments.plan import Step

# Written out, like those for which a run waits.
FINAL = ["AgentWithoutA2A", "ExperimentTooLarge", "InvalidExpression", "InvalidSchedule", "InvalidSpec"]


@pytest.mark.parametrize(
    ("found", "outcome", "message"),
    [
        ({}, "Reconciled", "The cluster is as the Experiment says."),
        ({"news": False}, "Unchanged", "The cluster already was as the Experiment says."),
        ({"suspended": True}, "Suspended", "spec.suspend is true: nothing was touched."),
        (
            {"exists": False, "news": False},
            "Gone",
            "The Experiment is gone, or going without anything of this service to clean up.",
        ),
    ],
)
async def test_completed_with_what_it_found(experiment, found, outcome, message):
    experiment.finds(**found)
    result = await (await experiment.start("requested")).result()
    assert (result.outcome, result.message) == (outcome, message)


async def test_completed_when_nothing_is_left_of_a_deleted_experiment(experiment):
    experiment.finds(Step.DELETE_CONFIG_MAP, Step.REMOVE_FINALIZER, deleting=True, news=False)
    result = await (await experiment.start("deleted")).result()
    assert result.outcome == "CleanedUp"
    assert result.changes == ["did delete_config_map", "did remove_finalizer"]


async def test_what_vanishes_after_its_cleanup_was_cleaned_up(experiment):
    """Another worker that goes on with the run after its last step finds the Experiment gone."""
    experiment.finds(Step.REMOVE_FINALIZER, problem=("CleanupPending", "TestWorkflow"), deleting=True, news=False)
    experiment.finds(exists=False, news=False)
    assert (await (await experiment.start("deleted")).result()).outcome == "CleanedUp"


async def test_what_the_server_has_forgotten_of_a_cleanup_counts_too(experiment):
    """A signal at its very end makes the server forget a pass, which the steps remember."""
    experiment.finds(exists=False, news=False, done=["deleted ConfigMap testkube/weather-experiment"])
    result = await (await experiment.start("deleted")).result()
    assert (result.outcome, result.changes) == ("CleanedUp", ["deleted ConfigMap testkube/weather-experiment"])


def test_these_and_no_others_end_it_as_failed():
    assert sorted(reason for reason, problem in BY_REASON.items() if issubclass(problem, Terminal)) == FINAL


@pytest.mark.parametrize("reason", FINAL)
async def test_failed_where_only_a_person_can_help(experiment, reason):
    experiment.finds(Step.APPLY_CONFIG_MAP, problem=(reason, "This cannot work."), generation=2)
    handle = await experiment.start("generation 2")
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    error = failed.value.cause
    assert (error.type, error.message, error.non_retryable) == (reason, "This cannot work.", True)
    [result] = error.details
    assert result["outcome"] == reason
    assert (result["generation"], result["reasons"]) == (2, ["generation 2"])
    assert result["changes"] == ["did apply_config_map"]
    assert (await handle.describe()).status == WorkflowExecutionStatus.FAILED


async def test_a_failed_run_has_reported_first(experiment):
    experiment.finds(problem=("InvalidSpec", "This cannot work."))
    with pytest.raises(WorkflowFailureError):
        await (await experiment.start("generation 1")).result()
    assert experiment.steps == ["take_snapshot", "write_status"]


async def test_a_correction_that_comes_in_time_saves_the_run(experiment):
    experiment.finds(problem=("InvalidSpec", "This cannot work."))
    experiment.finds(generation=2)
    async with experiment.stopped_at("write_status") as reached:
        handle = await experiment.start("generation 1")
        await reached()
        await experiment.start("generation 2")
    result = await handle.result()
    assert (result.outcome, result.generation) == ("Reconciled", 2)


async def test_after_a_failed_run_the_next_reason_begins_a_new_one(experiment):
    experiment.finds(problem=("InvalidSpec", "This cannot work."))
    experiment.finds(generation=2)
    first = await experiment.start("generation 1")
    with pytest.raises(WorkflowFailureError):
        await first.result()
    second = await experiment.start("generation 2")
    assert second.result_run_id != first.result_run_id
    assert (await second.result()).reasons == ["generation 2"]
