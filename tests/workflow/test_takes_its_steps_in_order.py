"""A run reads, does what is planned in that order, reports, and says in its result what it did."""

from __future__ import annotations

import re

from experiments.plan import Step

ALL = (Step.ADD_FINALIZER, Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW, Step.APPLY_TEST_TRIGGER)


async def test_each_planned_step_once_and_the_status_last(experiment):
    experiment.finds(*ALL, generation=3)
    result = await (await experiment.start("generation 3")).result()
    assert experiment.steps == ["take_snapshot", *ALL, "write_status"]
    assert all(call.local and call.attempt == 1 for call in experiment.calls), "the cheap way, when all goes well"
    assert result.outcome == "Reconciled"
    assert (result.generation, result.reasons) == (3, ["generation 3"])
    assert result.changes == [f"did {step}" for step in ALL]


async def test_the_order_is_the_plans(experiment):
    steps = (Step.DELETE_TEST_TRIGGER, Step.DELETE_TEST_WORKFLOW, Step.DELETE_CONFIG_MAP, Step.REMOVE_FINALIZER)
    experiment.finds(*steps, deleting=True, news=False)
    await (await experiment.start("deleted")).result()
    assert tuple(experiment.steps[1:-1]) == steps


async def test_a_step_is_told_its_experiment_and_its_action(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    await (await experiment.start("generation 1")).result()
    [request] = experiment.requests(Step.APPLY_CONFIG_MAP)
    assert request.target == experiment.target
    assert (request.action.step, request.action.kind) == ("apply_config_map", "ConfigMap")


async def test_the_report_says_what_was_done_and_when(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, Step.APPLY_TEST_WORKFLOW)
    await (await experiment.start("generation 1")).result()
    [report] = experiment.requests("write_status")
    assert report.changes == ["did apply_config_map", "did apply_test_workflow"]
    assert (report.failed, report.failure) == (None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", report.time), "a metav1.Time"


async def test_what_the_watcher_has_seen_reaches_the_snapshot(experiment):
    experiment.finds()
    await (await experiment.start("agent URL changed", seen={"Agent default/weather": "17"})).result()
    [request] = experiment.requests("take_snapshot")
    assert request.seen == {"Agent default/weather": "17"}
    assert not request.certain, "the children of a new Experiment are not looked for"
