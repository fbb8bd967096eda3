"""A step that finds the cluster changed under its plan is no failure: the run reads and plans again at once."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from experiments.plan import Step

STALE = ApplicationError("ConfigMap testkube/weather: already exists", type="Stale", non_retryable=True)


@pytest.mark.parametrize("step", ["take_snapshot", Step.APPLY_CONFIG_MAP, "write_status"])
async def test_a_stale_step_leads_to_another_pass_without_a_pause(experiment, pauses, step):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(step, [STALE])
    handle = await experiment.start("generation 1")
    assert (await handle.result()).outcome == "Reconciled"
    assert await pauses(handle) == []
    assert len(experiment.requests("take_snapshot")) == 2


async def test_this_time_the_children_are_read(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, times=2)
    experiment.finds(news=False)
    experiment.fails(Step.APPLY_CONFIG_MAP, [STALE])
    await (await experiment.start("generation 1")).result()
    assert [request.certain for request in experiment.requests("take_snapshot")] == [False, True]


async def test_another_look_is_nothing_to_report(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, times=2)
    experiment.fails(Step.APPLY_CONFIG_MAP, [STALE])
    await (await experiment.start("generation 1")).result()
    assert experiment.steps == [
        "take_snapshot",
        "apply_config_map",
        "take_snapshot",
        "apply_config_map",
        "write_status",
    ]


async def test_what_was_done_before_it_is_reported_later(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW)
    experiment.finds(news=False)
    experiment.fails(Step.APPLY_TEST_WORKFLOW, [STALE])
    result = await (await experiment.start("ConfigMap edited by kubectl-edit")).result()
    [report] = experiment.requests("write_status")
    assert report.changes == result.changes == ["did apply_config_map"]


async def test_what_a_stale_report_said_is_said_again_and_then_no_more(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.finds(problem=("TemplateMissing", "Not yet."))
    experiment.finds()
    experiment.fails("write_status", [STALE])
    await (await experiment.start("generation 1")).result()
    said = [report.changes for report in experiment.requests("write_status")]
    assert said == [["did apply_config_map"], ["did apply_config_map"], []]


async def test_a_cluster_that_never_holds_still_is_given_time(experiment, pauses):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(Step.APPLY_CONFIG_MAP, [STALE] * 6)
    handle = await experiment.start("generation 1")
    await handle.result()
    assert await pauses(handle) == [8, 16, 32], "after three more looks at once"
