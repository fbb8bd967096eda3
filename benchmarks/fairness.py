"""`python -m benchmarks.fairness`: who waits for whom while 2,000 Experiments follow an Agent whose URL has changed.

Starts a local cluster, watcher and worker, and settles Experiments in twenty namespaces, one of which has half of them.
Then the Agent's URL changes. While all follow, an Experiment is created and another edited every half second, in random
namespaces, and now and then a reconciliation is asked for: how long people wait, beside how long they do at rest, and
when each namespace has followed. Times count from when a request was sent. Figures go to .local/bench-fairness.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from typing import Any

import uvloop

from benchmarks.processes import ROOT, process
from benchmarks.settled import Fact, Seen, create, fill, install, move_agent, say
from experiments.names import REQUESTED_AT
from experiments.resources import EXPERIMENT
from kube.client import KubeClient
from kube.objects import ObjectRef
from localcluster import LocalCluster

_MOVED = "http://weather.moved.svc.cluster.local:8000"
_AT_REST_BEATS = 20
_ASK_EVERY = 4
_PATIENCE_SECONDS = 1800.0


class People:
    """Those who create, edit and ask, each time in a namespace by chance, whatever became of what they did before."""

    def __init__(self, kube: KubeClient, settled: dict[str, list[ObjectRef]], every: float) -> None:
        self._kube, self._every = kube, every
        self._chance = random.Random(1)
        # Each Experiment is chosen once, so that nobody waits for what somebody else has changed in the same.
        self._left = {namespace: self._chance.sample(refs, len(refs)) for namespace, refs in settled.items()}
        self._beats = count()
        self.ended = False
        self.waiting: defaultdict[str, dict[Fact, float]] = defaultdict(dict)
        """What is waited for, and since when, by what was done."""

    async def act(self, beats: int) -> None:
        """Go on for so many beats, or until `ended`. Returns once all has been sent."""
        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(beats):
                await asyncio.sleep(max(0.0, started + number * self._every - time.perf_counter()))
                if self.ended:
                    return
                beat = next(self._beats)
                tasks.create_task(self._create(f"new-{beat}"))
                tasks.create_task(self._edit())
                if beat % _ASK_EVERY == 0:
                    tasks.create_task(self._ask(f"beat {beat}"))

    async def _create(self, name: str) -> None:
        ref = ObjectRef(EXPERIMENT, self._chance.choice([*self._left]), name)
        self.waiting["created"][ref, 1] = time.perf_counter()
        await create(self._kube, ref)

    async def _edit(self) -> None:
        if ref := self._choose():
            self.waiting["edited"][ref, 2] = time.perf_counter()
            await self._kube.merge_patch(ref, {"spec": {"llmAsAJudgeModel": "another"}})

    async def _ask(self, value: str) -> None:
        if ref := self._choose():
            self.waiting["asked for a reconciliation"][ref, value] = time.perf_counter()
            await self._kube.merge_patch(ref, {"metadata": {"annotations": {REQUESTED_AT: value}}})

    def _choose(self) -> ObjectRef | None:
        """Choose an Experiment; None where all of that namespace have been."""
        left = self._left[self._chance.choice([*self._left])]
        return left.pop() if left else None


async def main(many: int, namespaces: int, every: float) -> dict[str, Any]:
    settled = _places(many, namespaces)
    refs = [ref for each in settled.values() for ref in each]
    async with LocalCluster.start() as cluster, await KubeClient.connect(cluster.kubeconfig) as kube:
        await install(cluster, kube, [*settled])
        seen = Seen(kube)
        with process(cluster, "watcher"), process(cluster, "worker"):
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(seen.run())
                await fill(kube, seen, random.Random(0).sample(refs, len(refs)))
                figures = await _measure(kube, seen, settled, every)
                watching.cancel()
    return {"experiments": many, "namespaces": namespaces, "seconds_between": every, **figures}


def _places(many: int, namespaces: int) -> dict[str, list[ObjectRef]]:
    """Put half of them into the first namespace, and the others into all others."""
    numbers = {"large": range(many // 2)}
    numbers |= {f"team-{n}": range(many // 2 + n, many, namespaces - 1) for n in range(namespaces - 1)}
    return {name: [ObjectRef(EXPERIMENT, name, f"e-{number}") for number in each] for name, each in numbers.items()}


async def _measure(kube: KubeClient, seen: Seen, settled: dict[str, list[ObjectRef]], every: float) -> dict[str, Any]:
    people = People(kube, settled, every)
    await people.act(_AT_REST_BEATS)
    at_rest = await _waited(seen, people)
    people.waiting.clear()
    load, moved = os.getloadavg()[0], time.perf_counter()
    await move_agent(kube, _MOVED)
    acting = asyncio.create_task(people.act(round(_PATIENCE_SECONDS / every)))
    say("the Agent has moved")
    following = {name: [(ref, _MOVED) for ref in refs] for name, refs in settled.items()}
    if not await seen.until((fact for each in following.values() for fact in each), _PATIENCE_SECONDS):
        say("not all have followed")
    people.ended = True
    await acting
    followed = {name: sorted(seen.at(fact) - moved for fact in facts) for name, facts in following.items()}
    return {
        "load_before_and_after": [load, os.getloadavg()[0]],
        "at_rest_seconds": at_rest,
        "meanwhile_seconds": await _waited(seen, people),
        "all_followed_seconds": max(each[-1] for each in followed.values()),
        "followed_seconds": {
            name: {"experiments": len(each), "half": _quantile(each, 0.5), "all": each[-1]}
            for name, each in followed.items()
        },
    }


async def _waited(seen: Seen, people: People) -> dict[str, list[float]]:
    """Wait for what is still outstanding; return the seconds that each took, infinity where it never came."""
    await seen.until(fact for facts in people.waiting.values() for fact in facts)
    return {
        what: sorted(seen.at(fact) - since for fact, since in facts.items()) for what, facts in people.waiting.items()
    }


def _quantile(ordered: list[float], share: float) -> float:
    """Return the least value that so many are not above; infinity is one like others."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _table(figures: dict[str, Any]) -> Iterator[str]:
    yield "| people's work | times | p50 | p95 | max |\n|---|---|---|---|---|"
    for when, key in (("at rest", "at_rest_seconds"), ("while all follow", "meanwhile_seconds")):
        for what, waited in figures[key].items():
            parts = " | ".join(f"{_quantile(waited, share):.2f} s" for share in (0.5, 0.95, 1))
            yield f"| {what}, {when} | {len(waited)} | {parts} |"
    large, *others = figures["followed_seconds"].values()
    shown = {
        "the large one": large,
        f"the middle one of the {len(others)} others": sorted(others, key=lambda each: each["all"])[len(others) // 2],
        f"the last one of the {len(others)} others": max(others, key=lambda each: each["all"]),
    }
    yield "\n| namespace | Experiments | half have followed after | all after |\n|---|---|---|---|"
    for name, each in shown.items():
        yield f"| {name} | {each['experiments']:,} | {each['half']:.1f} s | {each['all']:.1f} s |"
    seconds = figures["all_followed_seconds"]
    before, after = figures["load_before_and_after"]
    yield f"\nAll followed within {seconds:.1f} s, {figures['experiments'] / seconds:.1f} a second, beside all that."
    yield f"The machine's load was {before:.1f} before and {after:.1f} at the end."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--experiments", type=int, default=2000, help="that follow the Agent (default: 2000)")
    parser.add_argument("--namespaces", type=int, default=20, help="one of them has half of all (default: 20)")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between people's work (default: 0.5)")
    chosen = parser.parse_args()
    found = uvloop.run(main(chosen.experiments, chosen.namespaces, chosen.every))
    target = ROOT / ".local" / "bench-fairness.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(_table(found)))
