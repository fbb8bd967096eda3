"""Temporal's UI shows an open run's current details: they tell what it waits for, and nothing once it goes on."""

from __future__ import annotations

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata


@pytest.fixture
def details():
    async def ask(handle):
        metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return metadata.current_details

    return ask


async def test_the_problem_and_when_it_looks_again(experiment, env, details):
    experiment.finds(problem=("TemplateMissing", "There is no run-template."))
    handle = await experiment.start("generation 1")
    await env.sleep(600)
    await experiment.waiting(handle)
    assert await details(handle) == ("TemplateMissing: There is no run-template. Looks again in 300 s, or when woken.")


async def test_nothing_after_the_wait(experiment, details):
    experiment.finds(problem=("TemplateMissing", "There is no run-template."))
    experiment.finds()
    handle = await experiment.start("generation 1")
    await handle.result()
    assert await details(handle) == ""
