"""Of several watchers one dispatches; after SIGTERM or SIGKILL another does, and sees what came in between."""

from __future__ import annotations

import signal

import pytest

from experiments.contract import Target, WakeSignal
from kube.lease import Lease
from support.polling import until
from support.world import World
from watcher.main import NotLeadingError, _while_held

LEADING, ASKED = '"event": "leading"', "reconciliation asked for"


async def test_another_watcher_dispatches_after_sigterm_and_after_sigkill(world: World, candidates, start_watcher):
    await candidates.write()
    first, waiting = await _leader(await start_watcher(), await start_watcher())
    await world.create("one")
    await first.says(ASKED, world.namespace, "one")

    assert await first.end(signal.SIGTERM) == 0
    await world.create("two")
    await waiting.says(ASKED, world.namespace, "two")

    last = await start_watcher()
    await last.says("another leads")
    await waiting.end(signal.SIGKILL)
    await world.create("three")
    await last.says(ASKED, world.namespace, "three")

    for watcher in (first, waiting, last):
        assert ASKED not in await watcher.says(LEADING)
    # Nobody works off the task queue: all that was asked for is one open run for each.
    for name in ("one", "two", "three"):
        assert len(await world.until(lambda name=name: world.runs(name))) == 1


async def _leader(*two):
    """The one that leads, and the other, which stands by."""
    await until(lambda: any(LEADING in watcher.log for watcher in two))
    leader, other = sorted(two, key=lambda watcher: LEADING not in watcher.log)
    await other.says("another leads")
    return leader, other


async def test_what_a_leader_was_about_to_start_when_it_lost_the_lease_is_not_started(kube, namespace):
    """As after a pause of the whole process: the dispatcher has not heard yet that it ended."""
    started = []

    async def start(*asked):
        started.append(asked)

    lease = Lease(kube, namespace, "leader")
    with pytest.raises(NotLeadingError):
        await _while_held(lease, start)(Target(namespace, "demo", "uid"), WakeSignal(["generation 1"], {}))
    assert started == []
