"""Whoever starts an execution, its state and verdict come into the status, and a run in Temporal tells of it."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RetryConfig

from experiments.contract import Target
from experiments.executions import StartRequest
from experiments.resources import TEST_WORKFLOW
from kube.objects import ObjectRef
from localcluster.testkube.events import STARTED, send_event
from support.evaluated import scores
from temporal.executions import requester
from watcher.executions import Times

OFTEN = Times(poll=0.5)

pytestmark = pytest.mark.usefixtures("work")


async def test_events_alone_bring_it_into_the_status(world, watch, evaluations):
    async with watch():
        await world.create()
        await world.reported()
        assert await evaluations.condition("ExecutionsObserved", "TestkubeAnswers") == "True"
        assert await evaluations.condition("Evaluated", "NoExecution") == "Unknown"
        execution = await evaluations.begin()
        await evaluations.told(execution, status="running", verdict=None)
        await evaluations.move(execution, "passed", scores=scores(*[1.0] * 17, *[0.3] * 3))
        last = await evaluations.told(execution, status="passed", verdict="Failed", summary="Failed 17/20")
    assert last.end_time >= last.start_time
    status = await world.status()
    assert (status.condition("Evaluated").status, status.condition("Ready").status) == ("False", "True")
    [follower] = await world.until(evaluations.followers, lambda runs: runs and runs[0].close_time)
    assert follower.status == WorkflowExecutionStatus.FAILED


async def test_without_events_a_poll_finds_it(world, watch, evaluations):
    async with watch(OFTEN):
        await world.create()
        await world.reported()
        execution = await evaluations.begin(told=False)
        await evaluations.told(execution, status="running")
        await evaluations.move(execution, "passed", told=False, scores=scores(1.0))
        await evaluations.told(execution, status="passed", verdict="Passed")
    assert (await world.status()).condition("Evaluated").status == "True"


async def test_one_that_is_canceled_has_no_event_and_is_found_all_the_same(world, watch, evaluations):
    async with watch(OFTEN):
        await world.create()
        await world.reported()
        execution = await evaluations.begin()
        await evaluations.told(execution, status="running")
        await evaluations.move(execution, "canceled")
        await evaluations.told(execution, status="canceled", verdict="NotEvaluated")


async def test_what_came_while_nobody_led_is_followed_without_an_exception(world, watch, evaluations):
    async with watch():
        await world.create()
        await world.reported()
    for _ in range(3):
        await evaluations.move(await evaluations.begin(told=False), "passed", scores=scores(1.0))
    going = await evaluations.begin()
    async with watch():
        await evaluations.told(going, status="running")
        assert len(await world.until(evaluations.followers, lambda runs: len(runs) == 4)) == 4


async def test_what_came_before_one_that_this_service_started_while_nobody_led_is_followed_too(
    world, watch, evaluations, testkube, temporal, task_queue
):
    async with watch():
        await world.create()
        await world.reported()
    unseen = await evaluations.begin(told=False)
    unseen["scheduledAt"] = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    await evaluations.move(unseen, "failed", scores=scores(0.1))
    uid = (await world.kube.get(world.ref()))["metadata"]["uid"]
    testkube.workflows.add(unseen["workflow"]["name"])
    started = await requester(temporal, task_queue)(StartRequest(Target(world.namespace, "demo", uid), "key"))
    ours = (await started.result()).execution.id
    await world.until(evaluations.last, lambda last: last.execution_id == ours)
    async with watch():
        followers = await evaluations.ended(1)
    assert {run.id.rpartition("/")[2] for run in followers} == {unseen["id"], ours}
    assert (await evaluations.last()).execution_id == ours


async def test_executions_of_others_and_of_copies_are_nobodys(world, watch, evaluations, testkube):
    async with watch(OFTEN):
        await world.create()
        await world.reported()
        live = await world.kube.get(world.places().test_workflow)
        twin = copy.deepcopy(live) | {"metadata": {**live["metadata"], "name": f"copy-{world.namespace}"}}
        for key in ("uid", "resourceVersion", "managedFields", "creationTimestamp"):
            twin["metadata"].pop(key)
        await world.kube.create(TEST_WORKFLOW, twin)
        theirs = await evaluations.begin(workflow=ObjectRef(TEST_WORKFLOW, "testkube", twin["metadata"]["name"]))
        stranger = testkube.add("stranger", "running")
        for _ in range(100):
            await send_event(world.kube, stranger, STARTED)
        ours = await evaluations.begin()
        await evaluations.told(ours, status="running")
        asked = len(testkube.requests)
        await world.until(lambda: len(testkube.requests) > asked + 2)  # polls that have listed all three
    assert [run.id.rpartition("/")[2] for run in await evaluations.followers()] == [ours["id"]]
    assert not [request for request in testkube.requests if theirs["id"] in request or stranger["id"] in request]


async def test_an_older_one_never_takes_the_place_of_a_newer(world, watch, evaluations):
    async with watch():
        await world.create()
        await world.reported()
        older = await evaluations.begin()
        await evaluations.told(older, status="running")
        older["scheduledAt"] = "2026-11-01T12:00:00Z"
        newer = await evaluations.begin()
        await evaluations.told(newer, status="running")
        await evaluations.move(older, "passed", scores=scores(1.0))
        assert await evaluations.condition("Evaluated", "Passed") == "True"
    assert (await evaluations.last()).execution_id == newer["id"]


async def test_what_comes_while_temporal_is_away_is_followed_when_it_is_back(world, watch, evaluations):
    retry = RetryConfig(max_retries=1)
    address = world.cluster.temporal_address
    impatient = await Client.connect(address, data_converter=pydantic_data_converter, retry_config=retry)
    async with watch(temporal=impatient):
        await world.create()
        await world.reported()
        await world.cluster.stop_temporal()
        try:
            missed = await evaluations.begin()
            await evaluations.move(missed, "passed", scores=scores(1.0))
            going = await evaluations.begin()
        finally:
            await world.cluster.start_temporal()
        await evaluations.told(going, status="running")
        await evaluations.ended(1)
    assert {run.id.rpartition("/")[2] for run in await evaluations.followers()} == {missed["id"], going["id"]}
