"""Whom the watcher waits for: a run that it asked for until that reports, and none that nobody looks at any more."""

from __future__ import annotations

import asyncio
import copy

import pytest

import watcher.dispatcher
import watcher.window
from experiments.contract import Target, Urgency, WakeSignal
from experiments.resources import EXPERIMENT
from kube.objects import Object, ObjectRef, ref_of
from kube.reflector import Change
from support.background import running
from support.memory import NOW, MemoryCaches, MemoryWorld
from support.polling import until
from watcher.dispatcher import Dispatcher
from watcher.snapshots import Snapshots

EVERYTHING = Change(None, None, None)


async def test_a_watcher_that_leads_again_does_not_wait_for_the_runs_of_its_last_term(world: type[MemoryWorld]) -> None:
    """None of them reports: somebody has terminated them, or they have found nothing to do."""
    experiments = _experiments(world, 20)
    started: set[str] = set()

    async def start(target: Target, _: WakeSignal, __: Urgency) -> str:
        started.add(target.name)
        return f"run of {target.name}"

    dispatcher = Dispatcher(Snapshots(MemoryCaches(experiments), world().options), None, start, never)
    while len(started) < len(experiments):
        before = len(started)
        dispatcher.observe(EVERYTHING)
        async with running(dispatcher.run()):
            await until(lambda before=before: len(started) > before, patience=10)
            dispatcher.observe(EVERYTHING)


async def test_a_run_that_waited_has_not_reported_before_it_was_woken(
    world: type[MemoryWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last report is no answer to what has changed since."""
    monkeypatch.setattr(watcher.dispatcher, "_CATCH_UP_TIMEOUT", 0.0)
    objects = _experiments(world, 2)
    waiting, other = objects
    objects[waiting]["status"] = {"lastReconciliation": {"workflowId": "w", "runId": "run of e0", "time": NOW}}
    newcomer = objects.pop(other)
    started: list[str] = []

    async def start(target: Target, _: WakeSignal, __: Urgency) -> str:
        started.append(target.name)
        return f"run of {target.name}"

    dispatcher = Dispatcher(Snapshots(MemoryCaches(objects), world().options), Api(objects), start, never, workers=1)
    async with running(dispatcher.run()):
        dispatcher.observe(EVERYTHING)
        await until(lambda: started == ["e0"])
        objects[other] = newcomer
        dispatcher.observe(Change(waiting, None, objects[waiting]))
        dispatcher.observe(Change(other, None, newcomer))
        await until(lambda: "e1" in started)
        assert started == ["e0", "e1"]
        objects[waiting]["status"]["agentUrl"] = "http://somewhere.else"
        dispatcher.observe(Change(waiting, None, objects[waiting]))
        await until(lambda: started == ["e0", "e1", "e0"])


async def test_a_report_makes_room_although_a_look_is_called_for_already(
    world: type[MemoryWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a worker that has room for so many, no other would be started before it has been silent for long."""
    for place in (watcher.dispatcher, watcher.window):
        monkeypatch.setattr(place, "PATIENCE", 1000.0)
    monkeypatch.setattr(watcher.dispatcher, "_SILENCE", 0.0)
    objects = _experiments(world, 20)
    started: list[str] = []

    async def start(target: Target, _: WakeSignal, __: Urgency) -> str:
        started.append(target.name)
        return f"run of {target.name}"

    snapshots = Snapshots(MemoryCaches(objects), world().options)
    dispatcher = Dispatcher(snapshots, Api(objects), start, never, beside_worker=True)
    async with running(dispatcher.run()):
        for each, obj in objects.items():
            dispatcher.observe(Change(each, None, obj))
        await until(lambda: started)
        while len(started) < len(objects):
            before = len(started)
            ref = ObjectRef(EXPERIMENT, "default", started[-1])
            dispatcher.observe(Change(ref, objects[ref], objects[ref]))  # as when the run writes a child
            for _ in range(3):  # until the look that this calls for waits in the queue, too
                await asyncio.sleep(0)
            reported = {**objects[ref], "status": {"observedGeneration": 1}}
            dispatcher.observe(Change(ref, objects[ref], reported))
            objects[ref] = reported
            await until(lambda before=before: len(started) > before, patience=10)


class Api:
    """The API server, of which the caches have heard everything."""

    def __init__(self, objects: dict[ObjectRef, Object]) -> None:
        self._objects = objects

    async def find(self, ref: ObjectRef) -> Object | None:
        return self._objects.get(ref)

    async def get(self, ref: ObjectRef) -> Object:
        return self._objects[ref]


async def never(_: Target) -> bool:
    """No run is stuck."""
    return False


def _experiments(world: type[MemoryWorld], count: int) -> dict[ObjectRef, Object]:
    found = {}
    for number in range(count):
        obj = copy.deepcopy(world().experiment)
        obj["metadata"] |= {"name": f"e{number}", "uid": f"uid-{number}", "resourceVersion": "1"}
        found[ref_of(EXPERIMENT, obj)] = obj
    return found
