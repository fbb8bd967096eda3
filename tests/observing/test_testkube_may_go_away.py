"""While Testkube does not answer, Experiments say so and are Ready all the same; what was missed is made up for."""

from __future__ import annotations

import pytest

from support.evaluated import scores
from watcher.executions import Times

SOON = Times(poll=0.5, retry=0.1, patience=1.0)

pytestmark = pytest.mark.usefixtures("work")


@pytest.mark.parametrize("trouble", ["away", "html", 503])
async def test_it_is_said_and_all_is_found_afterwards(world, watch, evaluations, testkube, trouble):
    async with watch(SOON):
        await world.create()
        await world.reported()
        assert await evaluations.condition("ExecutionsObserved", "TestkubeAnswers") == "True"
        before = await evaluations.begin()
        await evaluations.told(before, status="running")

        testkube.trouble = trouble
        assert await evaluations.condition("ExecutionsObserved", "TestkubeUnavailable") == "False"
        await evaluations.move(before, "passed", told=False, scores=scores(1.0))
        missed = await evaluations.begin(told=False)
        await evaluations.move(missed, "failed", told=False, scores=scores(0.3))
        heard = await evaluations.begin()  # Events come all the same
        await world.kube.merge_patch(world.ref(), {"spec": {"suspend": True}})
        assert (await world.reported(reason="Suspended")).condition("ExecutionsObserved").status == "False"

        testkube.trouble = ""
        assert await evaluations.condition("ExecutionsObserved", "TestkubeAnswers") == "True"
        await evaluations.told(heard, status="running")
        followers = await world.until(
            evaluations.followers, lambda runs: sum(bool(run.close_time) for run in runs) == 2
        )
    assert {run.id.rpartition("/")[2] for run in followers} == {each["id"] for each in (before, missed, heard)}


async def test_one_that_was_never_there_is_said_to_be_away(world, watch, evaluations, testkube):
    testkube.trouble = "away"
    async with watch(SOON):
        await world.create()
        await world.reported()
        assert await evaluations.condition("ExecutionsObserved", "TestkubeUnavailable") == "False"
        said = (await world.status()).condition("ExecutionsObserved").message
        assert said.startswith("Testkube does not answer, so what it runs is not known: GET ")
        assert await evaluations.condition("Evaluated", "NoExecution") == "Unknown"


async def test_a_restart_of_testkube_is_nobodys_trouble(world, watch, evaluations, testkube):
    """It is away for less than `patience`."""
    async with watch(Times(poll=0.2, retry=0.1, patience=3600)):
        await world.create()
        await world.reported()
        assert await evaluations.condition("ExecutionsObserved", "TestkubeAnswers") == "True"
        testkube.trouble = "away"
        asked = len(testkube.requests)
        await world.until(lambda: len(testkube.requests) > asked + 5)
        assert (await world.status()).condition("ExecutionsObserved").status == "True"
        testkube.trouble = ""
        await evaluations.told(await evaluations.begin(told=False), status="running")


async def test_polls_that_find_nothing_new_write_nothing(world, watch, evaluations, testkube):
    async with watch(Times(poll=0.1)):
        await world.create()
        await world.reported()
        execution = await evaluations.begin()
        await evaluations.told(execution, status="running")
        await evaluations.condition("ExecutionsObserved", "TestkubeAnswers")
        [run] = await world.until(evaluations.followers, bool)
        follower = world.temporal.get_workflow_handle(run.id)
        asked = len(testkube.requests)
        await world.until(lambda: len(testkube.requests) > asked + 3)  # the first of them may still have had news
        written = (await world.kube.get(world.ref()))["metadata"]["resourceVersion"]
        history = (await follower.describe()).history_length
        asked = len(testkube.requests)
        await world.until(lambda: len(testkube.requests) > asked + 5)
        assert (await world.kube.get(world.ref()))["metadata"]["resourceVersion"] == written
        assert (await follower.describe()).history_length == history
