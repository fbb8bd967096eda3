"""Whoever leads observes: when the leader changes, no execution is lost, and none is followed twice."""

from __future__ import annotations

import signal

import pytest
from prometheus_client import REGISTRY

from kube.lease import Lease
from kube.objects import EVENT
from support.evaluated import scores
from watcher.executions import Times

pytestmark = pytest.mark.usefixtures("work")

OFTEN = Times(poll=0.5)
LEADING = '"event": "leading"'


async def test_another_goes_on_where_one_was_killed(world, evaluations, start_watcher):
    first = await start_watcher("watcher")
    await first.says(LEADING)
    second = await start_watcher("watcher")
    await second.says("another leads")
    await world.create()
    await world.reported()
    going = await evaluations.begin()
    await evaluations.told(going, status="running")

    await first.end(signal.SIGKILL)
    missed = await evaluations.begin()
    await evaluations.move(missed, "passed", scores=scores(1.0))
    newest = await evaluations.begin()
    await evaluations.told(newest, status="running")
    await evaluations.move(going, "failed", scores=scores(0.3))
    followers = await evaluations.ended(2)
    assert sorted(run.id.rpartition("/")[2] for run in followers) == sorted(
        each["id"] for each in (going, missed, newest)
    )
    assert LEADING in second.log


async def test_a_new_leader_does_not_begin_with_what_has_been_seen_to(world, watch, evaluations):
    async with watch():
        await world.create()
        await world.reported()
        for _ in range(3):
            await evaluations.pass_one()
        await evaluations.ended(3)
    before = looks()
    async with watch(OFTEN):
        await evaluations.told(await evaluations.begin(told=False), status="running")
    assert looks() == before + 1


async def test_one_that_stands_by_asks_nobody(world, watch, testkube, watcher_client):
    async with watch(lease=Lease(watcher_client, "experiment-operator", "experiment-operator-watcher")):
        await world.until(lambda: testkube.requests)
        asked, watched = len(testkube.requests), watches_of_events()
        other = Lease(watcher_client, "experiment-operator", "experiment-operator-watcher")
        async with watch(lease=other):
            await world.create()
            await world.reported()
            assert not other.held()
        assert (len(testkube.requests), watches_of_events()) == (asked, watched)


async def test_where_there_is_no_testkube_nothing_of_it_runs(world, watch, testkube, evaluations):
    before = watches_of_events()
    async with watch(observing=False):
        await world.create()
        status = await world.reported()
        await evaluations.begin()
        await evaluations.ask_for_one("now")
        await world.kube.merge_patch(world.ref(), {"spec": {"suspend": True}})
        status = await world.reported(reason="Suspended")  # by when it has seen all of that
    assert status.condition("ExecutionsObserved") is None
    assert status.condition("Evaluated") is None
    assert (testkube.requests, await evaluations.followers(), watches_of_events()) == ([], [], before)


def looks() -> float:
    return REGISTRY.get_sample_value("experiment_operator_execution_looks_total", {"source": "poll"}) or 0


def watches_of_events() -> float:
    labels = {"verb": "watch", "resource": EVENT.plural, "code": "200"}
    return REGISTRY.get_sample_value("experiment_operator_kubernetes_calls_total", labels) or 0
