"""A status that says already what there is to say is not written: every write wakes the watchers of Experiments."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from experiments.plan import Step


@pytest.mark.parametrize(
    "found",
    [{"news": False}, {"exists": False, "news": False}, {"suspended": True, "news": False}],
    ids=["as planned", "gone", "suspended"],
)
async def test_not_when_nothing_was_done_and_nothing_is_new(experiment, found):
    experiment.finds(**found)
    await (await experiment.start("requested")).result()
    assert experiment.steps == ["take_snapshot"]


async def test_not_again_while_a_run_waits_for_what_it_has_said(experiment):
    experiment.finds(problem=("TemplateMissing", "Not yet."))
    experiment.finds(problem=("TemplateMissing", "Not yet."), news=False, times=5)
    experiment.finds()
    await (await experiment.start("generation 1")).result()
    assert len(experiment.requests("take_snapshot")) == 7
    assert len(experiment.requests("write_status")) == 2, "that it is missing, and that all is well"


async def test_status_is_written_for_news(experiment):
    experiment.finds(news=True)
    await (await experiment.start("Ready is Reconciled")).result()
    assert experiment.steps == ["take_snapshot", "write_status"]


async def test_status_is_written_for_a_change(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, news=False)
    await (await experiment.start("ConfigMap deleted")).result()
    assert experiment.steps[-1] == "write_status"


async def test_status_is_written_for_a_failure(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP, news=False)
    experiment.finds(news=False)
    refused = ApplicationError("may not", type="Forbidden", non_retryable=True)
    experiment.fails(Step.APPLY_CONFIG_MAP, [refused])
    await (await experiment.start("ConfigMap deleted")).result()
    assert experiment.steps == ["take_snapshot", "apply_config_map", "write_status", "take_snapshot"]
