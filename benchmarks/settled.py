"""Experiments in any number that follow one Agent, and when each of them was seen to be as it should."""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import time
from collections.abc import Collection, Iterable
from typing import TypeAlias

from benchmarks.load import NAMESPACE, at_once, experiment
from benchmarks.processes import ROOT
from experiments.resources import AGENT, EXPERIMENT
from kube.client import KubeClient
from kube.objects import Object, ObjectRef, Source
from kube.reflector import Change, Reflector
from localcluster import LocalCluster

Fact: TypeAlias = tuple[ObjectRef, int | str]
"""That an Experiment is Ready for a generation or with its Agent at a URL, or has honoured a request of that value."""

_AGENT = ObjectRef(AGENT, NAMESPACE, "weather")
_STEP = 250


class Seen:
    """When each fact was seen first, by `time.perf_counter`, also where a watch ends in between."""

    def __init__(self, kube: KubeClient) -> None:
        self._at: dict[Fact, float] = {}
        self._changed = asyncio.Event()
        self.run = Reflector(kube, Source(EXPERIMENT), self._observe).run

    def at(self, fact: Fact) -> float:
        """Return when it was seen, infinity where it was not."""
        return self._at.get(fact, math.inf)

    async def until(self, facts: Iterable[Fact], seconds: float = 300.0) -> bool:
        """Wait for all of them; False where some were not seen in that time."""
        missing = set(facts)
        try:
            async with asyncio.timeout(seconds):
                while missing := {fact for fact in missing if fact not in self._at}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _observe(self, change: Change) -> None:
        if change.ref and change.new:
            for about in _facts(change.new):
                self._at.setdefault((change.ref, about), time.perf_counter())
            self._changed.set()


def _facts(obj: Object) -> Iterable[int | str]:
    status = obj.get("status", {})
    if (value := (status.get("lastReconciliation") or {}).get("requestedAt")) is not None:
        yield value
    if any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ())):
        yield status["observedGeneration"]
        yield status.get("agentUrl", "")


async def install(cluster: LocalCluster, kube: KubeClient, namespaces: Collection[str] = ()) -> None:
    """Install what Experiments need, and the Agent, which is ready."""
    await cluster.install(ROOT / "crds")
    for namespace in (NAMESPACE, *namespaces):
        await cluster.kubectl("create", "namespace", namespace)
    await cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(ROOT / "deploy" / "testkube"))
    meta = {"name": _AGENT.name, "namespace": _AGENT.namespace}
    await kube.create(AGENT, {"apiVersion": AGENT.api_version, "kind": AGENT.kind, "metadata": meta, "spec": {}})
    await move_agent(kube, "http://weather.testkube.svc.cluster.local:8000")


async def move_agent(kube: KubeClient, url: str) -> None:
    await kube.merge_patch(_AGENT, {"status": {"url": url}}, subresource="status")


async def create(kube: KubeClient, ref: ObjectRef) -> None:
    """Create an Experiment that follows the Agent, from whatever namespace."""
    obj = experiment(ref.name)
    obj["metadata"]["namespace"] = ref.namespace
    obj["spec"]["agentRef"] = {"name": _AGENT.name, "namespace": _AGENT.namespace}
    await kube.create(EXPERIMENT, obj)


async def fill(kube: KubeClient, seen: Seen, refs: list[ObjectRef]) -> None:
    """Create Experiments and wait until all are Ready. Raises TimeoutError where the service does not come on."""
    started = time.perf_counter()
    for begin in range(0, len(refs), _STEP):
        step = refs[begin : begin + _STEP]
        await at_once(create(kube, ref) for ref in step)
        if not await seen.until((ref, 1) for ref in step):
            raise TimeoutError(f"{len(step)} Experiments were not Ready within five minutes")
        done = begin + len(step)
        gc.freeze()  # what is seen stays in this process, whose own garbage collections must not be measured
        say(f"{done:,} of {len(refs):,} Experiments are Ready, {done / (time.perf_counter() - started):.0f} a second")


def say(what: str) -> None:
    """Tell whoever waits for the figures, which take minutes."""
    print(what, file=sys.stderr, flush=True)
