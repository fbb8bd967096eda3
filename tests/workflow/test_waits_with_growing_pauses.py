"""What time or another object can cure keeps a run open: it looks again after 1, 2, 4 … 300 seconds."""

from __future__ import annotations

import pytest

from experiments.errors import BY_REASON, Terminal

# Written out: that a run waits for something else, or for something no more, is to be decided, not to happen.
WAITED_FOR = [
    "ApiUnavailable",
    "ChildTerminating",
    "CleanupPending",
    "ExpressionRefused",
    "Forbidden",
    "GatewayMissing",
    "Immutable",
    "InternalError",
    "NameConflict",
    "NamespaceMissing",
    "Overruled",
    "Rejected",
    "TemplateMismatch",
    "TemplateMissing",
    "TestkubeMissing",
    "TestkubeUnavailable",
    "ValueRefused",
]
MISSING = ("TemplateMissing", "There is no TestWorkflowTemplate run-template.")


def test_these_and_no_others_are_waited_for():
    assert sorted(reason for reason, problem in BY_REASON.items() if not issubclass(problem, Terminal)) == WAITED_FOR


@pytest.mark.parametrize("reason", WAITED_FOR)
async def test_each_of_them_keeps_the_run_open(experiment, pauses, reason):
    experiment.finds(problem=(reason, "Not yet."))
    experiment.finds()
    handle = await experiment.start("generation 1")
    assert (await handle.result()).outcome == "Reconciled"
    assert await pauses(handle) == [1]


async def test_pauses_double_up_to_five_minutes(experiment, pauses):
    experiment.finds(problem=MISSING, times=12)
    experiment.finds()
    handle = await experiment.start("generation 1")
    await handle.result()
    assert await pauses(handle) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


async def test_they_begin_anew_when_something_has_happened(experiment, env, pauses):
    experiment.finds(problem=MISSING)
    handle = await experiment.start("generation 1")
    await env.sleep(20)
    await experiment.waiting(handle)
    before = await pauses(handle)
    await experiment.start("TestWorkflowTemplate created")
    await experiment.waiting(handle)
    await env.sleep(2)
    await experiment.waiting(handle)
    assert before[-1] > 4
    assert (await pauses(handle))[len(before) :][:2] == [1, 2]


async def test_after_the_first_look_nothing_is_assumed_of_children(experiment):
    experiment.finds(problem=MISSING, times=3)
    experiment.finds()
    await (await experiment.start("generation 1")).result()
    assert [request.certain for request in experiment.requests("take_snapshot")] == [False, True, True, True]
