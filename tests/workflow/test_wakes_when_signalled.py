"""A signal makes an open run look again: at once, once for any number of them, and never two passes at a time."""

from __future__ import annotations

import asyncio

import pytest

from experiments.plan import Step

MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")
ONE_PASS = ["take_snapshot", "apply_config_map", "write_status"]


async def test_a_waiting_run_looks_at_once(experiment, env, pauses):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await env.sleep(600)
    await experiment.waiting(handle)
    pauses_before, looks_before = await pauses(handle), len(experiment.requests("take_snapshot"))
    experiment.finds()
    with env.auto_time_skipping_disabled():
        await experiment.start("TestWorkflowTemplate created")
        result = await handle.result()
    assert pauses_before[-1] >= 256
    assert len(experiment.requests("take_snapshot")) == looks_before + 1
    assert result.reasons == ["generation 1", "TestWorkflowTemplate created"]


@pytest.mark.parametrize("step", ONE_PASS)
async def test_a_signal_during_a_pass_asks_for_another_one_after_it(experiment, step):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    async with experiment.stopped_at(step) as reached:
        handle = await experiment.start("generation 1")
        await reached()
        await experiment.start("generation 2")
        assert experiment.steps == ONE_PASS[: ONE_PASS.index(step) + 1], "the pass goes on as it was"
    result = await handle.result()
    assert experiment.steps == [*ONE_PASS, *ONE_PASS]
    assert result.reasons == ["generation 1", "generation 2"]


async def test_a_signal_during_a_repeated_step_starts_nothing_beside_it(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    experiment.fails(Step.APPLY_CONFIG_MAP, [RuntimeError("once")])
    async with experiment.stopped_at(Step.APPLY_CONFIG_MAP) as reached:
        handle = await experiment.start("generation 1")
        await reached()
        await experiment.start("generation 2")
        await handle.query("__temporal_workflow_metadata")  # answered once the run has taken the signal in
        assert experiment.steps == ["take_snapshot", "apply_config_map", "apply_config_map"]
    await handle.result()
    assert experiment.steps == ["take_snapshot", "apply_config_map", *ONE_PASS[1:], *ONE_PASS]


async def test_fifty_signals_are_one_further_pass(experiment):
    experiment.finds(Step.APPLY_CONFIG_MAP)
    async with experiment.stopped_at(Step.APPLY_CONFIG_MAP) as reached:
        handle = await experiment.start("generation 1")
        await reached()
        await asyncio.gather(*(experiment.start("requested", f"generation {n % 5}") for n in range(50)))
    result = await handle.result()
    assert experiment.steps == [*ONE_PASS, *ONE_PASS]
    assert sorted(result.reasons) == [*(f"generation {n}" for n in range(5)), "requested"]


async def test_the_newest_version_that_was_seen_counts_in_every_further_pass(experiment):
    experiment.finds(problem=MISSING, times=3)
    experiment.finds()
    async with experiment.stopped_at("take_snapshot") as reached:
        handle = await experiment.start("generation 1", seen={"Agent a/b": "1", "AiGateway a/b": "2"})
        await reached()
        await experiment.start("agent URL changed", seen={"Agent a/b": "5"})
    await handle.result()
    first, *further = [request.seen for request in experiment.requests("take_snapshot")]
    assert first == {"Agent a/b": "1", "AiGateway a/b": "2"}
    assert further == [{"Agent a/b": "5", "AiGateway a/b": "2"}] * 3


async def test_a_signal_from_temporals_ui_needs_no_input(experiment):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    experiment.finds()
    await handle.signal("wake")
    assert "woken by hand" in (await handle.result()).reasons


async def test_a_signal_that_makes_no_sense_does_no_harm(experiment):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await experiment.waiting(handle)
    await handle.signal("wake", "please")
    await handle.signal("wake", {"reasons": 7})
    experiment.finds()
    assert (await handle.result()).reasons == ["generation 1"]
