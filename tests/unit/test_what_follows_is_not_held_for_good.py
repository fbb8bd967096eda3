"""What follows something else waits while many runs are open, and never for a run that nobody looks at any more."""

from __future__ import annotations

import copy

from experiments.contract import Target, Urgency, WakeSignal
from experiments.resources import EXPERIMENT
from kube.objects import Object, ObjectRef, ref_of
from kube.reflector import Change
from support.background import running
from support.memory import MemoryCaches, MemoryWorld
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

    async def never(_: Target) -> bool:
        return False

    dispatcher = Dispatcher(Snapshots(MemoryCaches(experiments), world().options), None, start, never)
    while len(started) < len(experiments):
        before = len(started)
        dispatcher.observe(EVERYTHING)
        async with running(dispatcher.run()):
            await until(lambda before=before: len(started) > before, patience=10)
            dispatcher.observe(EVERYTHING)


def _experiments(world: type[MemoryWorld], count: int) -> dict[ObjectRef, Object]:
    found = {}
    for number in range(count):
        obj = copy.deepcopy(world().experiment)
        obj["metadata"] |= {"name": f"e{number}", "uid": f"uid-{number}", "resourceVersion": "1"}
        found[ref_of(EXPERIMENT, obj)] = obj
    return found
