"""Where not all Experiments can be looked after at once: what a person waits for first, and namespaces in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY

from experiments.contract import Urgency
from experiments.names import REQUESTED_AT
from experiments.resources import AGENT, EXPERIMENT, TEST_TRIGGER
from kube.objects import Object, ObjectRef, Resource
from kube.reflector import Change
from support.background import running
from support.polling import until
from telemetry import metrics
from watcher.queue import WorkQueue
from watcher.urgency import is_its_own, urgency_of
from watcher.window import PATIENCE, Room, Window


def ref(name: str, namespace: str = "default", resource: Resource = EXPERIMENT) -> ObjectRef:
    return ObjectRef(resource, namespace, name)


class Desk:
    """A queue with one worker, which begins once all that a test adds is there."""

    def __init__(self, held: Callable[[Urgency], bool] = lambda _: False) -> None:
        self.handled: list[str] = []
        self.queue = WorkQueue(self._handle, workers=1, held=held)

    async def _handle(self, key: ObjectRef) -> None:
        self.handled.append(key.name)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        async with running(self.queue.run()):
            yield


async def test_the_urgent_first_and_then_in_order() -> None:
    desk = Desk()
    for name, urgency in [("f1", Urgency.FOLLOW), ("f2", Urgency.FOLLOW), ("r", Urgency.REPAIR), ("a", Urgency.ASKED)]:
        desk.queue.add(ref(name), urgency)
    desk.queue.add(ref("f2"), Urgency.CHANGED)  # somebody edits one that waits already
    async with desk.at_work():
        await until(lambda: len(desk.handled) >= 4)
    assert desk.handled == ["a", "f2", "r", "f1"]


async def test_who_has_many_waits_for_them_and_nobody_else_does() -> None:
    desk = Desk()
    for number in range(3):
        desk.queue.add(ref(f"many-{number}", "many"), Urgency.FOLLOW)
    desk.queue.add(ref("few", "few"), Urgency.FOLLOW)
    async with desk.at_work():
        await until(lambda: len(desk.handled) == 4)
    assert desk.handled == ["many-0", "few", "many-1", "many-2"]


async def test_what_is_held_waits_and_holds_nobody_up() -> None:
    full = True
    desk = Desk(held=lambda urgency: full and urgency == Urgency.FOLLOW)
    desk.queue.add(ref("follows"), Urgency.FOLLOW)
    desk.queue.add(ref("edited"), Urgency.CHANGED)
    async with desk.at_work():
        await until(lambda: desk.handled == ["edited"])
        full = False
        desk.queue.look_again()
        await until(lambda: desk.handled == ["edited", "follows"])


async def test_the_oldest_that_waits_is_told_although_it_is_held_unless_it_only_follows() -> None:
    def oldest() -> float | None:
        metrics.QUEUE_OLDEST.sample()
        return REGISTRY.get_sample_value("experiment_operator_queue_oldest_seconds")

    desk = Desk(held=lambda _: True)
    desk.queue.add(ref("follows"), Urgency.FOLLOW)
    async with desk.at_work():
        await asyncio.sleep(0)
        assert oldest() == 0
        desk.queue.add(ref("edited"), Urgency.CHANGED)
        await until(oldest)
    assert not desk.handled


def test_the_window_opens_while_runs_are_brisk_and_closes_while_they_are_not() -> None:
    def fill(window: Window, now: float) -> list[ObjectRef]:
        begun = []
        while not window.is_full:
            begun.append(ref(f"e{len(begun)}"))
            window.begin(begun[-1], now)
        return begun

    window, widths = Window(), []
    for turn in range(30):
        begun = fill(window, now=float(turn))
        widths.append(len(begun))
        took = 0.1 if turn < 20 else 2.0
        assert all(window.end(each, turn + took) for each in begun)
    assert widths[0] < widths[10] < widths[19]
    assert widths[29] == widths[0], "it never closes altogether"
    assert not window.end(ref("never begun"), 30.0)


def test_a_worker_is_given_no_more_than_it_has_room_for() -> None:
    room, begun = Room(), list[ObjectRef]()
    while not room.is_full(now=10.0):
        begun.append(ref(f"e{len(begun)}"))
        room.begin(begun[-1], now=10.0)
    assert room.end(begun[0])
    assert not room.is_full(now=10.0)
    room.begin(begun[1], now=10.0)  # again, so that it counts once
    assert not room.is_full(now=10.0)
    assert not room.end(begun[0])


def test_runs_that_wait_for_something_keep_nobody_from_the_worker() -> None:
    room = Room()
    for number in range(100):
        room.begin(ref(f"hangs-{number}"), now=10.0)
    assert room.is_full(now=10.0)
    assert not room.is_full(now=10.0 + PATIENCE)
    for number in range(100):
        room.begin(ref(f"brisk-{number}"), now=11.0 + PATIENCE)
    assert room.is_full(now=11.0 + PATIENCE)


def experiment(*, generation: int = 1, observed: int | None = 1, **metadata: Any) -> Object:
    return {
        "metadata": {"name": "e", "generation": generation, "resourceVersion": "1", **metadata},
        "status": {"observedGeneration": observed} if observed else {},
    }


@pytest.mark.parametrize(
    ("about", "new", "urgency"),
    [
        (EXPERIMENT, experiment(annotations={REQUESTED_AT: "now"}), Urgency.ASKED),
        (EXPERIMENT, experiment(observed=None), Urgency.CHANGED),
        (EXPERIMENT, experiment(generation=2), Urgency.CHANGED),
        (EXPERIMENT, experiment(deletionTimestamp="now"), Urgency.CHANGED),
        (EXPERIMENT, None, Urgency.CHANGED),
        (EXPERIMENT, experiment(), Urgency.REPAIR),
        (TEST_TRIGGER, None, Urgency.REPAIR),
        (AGENT, {"metadata": {}}, Urgency.FOLLOW),
    ],
)
def test_who_waits_for_it(about: Resource, new: Object | None, urgency: Urgency) -> None:
    assert urgency_of(Change(ref("e", resource=about), experiment(), new)) == urgency


def test_a_resource_that_comes_or_goes_concerns_nobody_in_particular() -> None:
    assert urgency_of(Change(None, None, None)) == Urgency.FOLLOW


@pytest.mark.parametrize(
    ("about", "new", "own"),
    [
        (TEST_TRIGGER, {"metadata": {}}, True),
        (EXPERIMENT, experiment(finalizers=["ours"], resourceVersion="2"), True),
        (EXPERIMENT, experiment(generation=2), False),
        (EXPERIMENT, experiment(annotations={REQUESTED_AT: "now"}), False),
        (EXPERIMENT, experiment(observed=2), False),
        (EXPERIMENT, None, False),
        (AGENT, {"metadata": {}}, False),
    ],
)
def test_a_run_writes_children_and_the_finalizer(about: Resource, new: Object | None, own: bool) -> None:
    assert is_its_own(Change(ref("e", resource=about), experiment(), new)) == own
