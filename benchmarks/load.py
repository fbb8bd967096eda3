"""The Experiments that are measured, those who write them, and a watch that sees them become Ready."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeAlias

from experiments.resources import AGENT, EXPERIMENT
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Object, ObjectRef, Source
from kube.reflector import Change, Reflector

NAMESPACE = "testkube"
_CONNECTIONS = 32

Write: TypeAlias = Callable[[str], Coroutine[Any, Any, Any]]
"""Creates or changes the Experiment of that name."""
Sent: TypeAlias = dict[str, float]
"""When the write of each Experiment was sent, on the clock of `time.perf_counter`."""


def experiment(name: str) -> Object:
    """Beside Testkube, with three scenarios and a trigger: an experiment.json of about 2 kB."""
    step = {
        "input": "What is the weather like in New York right now?",
        "reference": {"toolCalls": [{"name": "get_weather", "args": {"city": "New York"}}], "topics": ["weather"]},
        "metrics": [{"metricName": "ToolCallAccuracy"}, {"metricName": "TopicAdherence", "threshold": 0.8}],
    }
    scenarios = [{"name": f"scenario {number}", "steps": [step, step]} for number in range(3)]
    spec = {"agentRef": {"name": "weather"}, "scenarios": scenarios, "trigger": {"enabled": True}}
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": EXPERIMENT.api_version, "kind": EXPERIMENT.kind, "metadata": meta, "spec": spec}


def ref(name: str) -> ObjectRef:
    return ObjectRef(EXPERIMENT, NAMESPACE, name)


async def write(names: Iterable[str], one: Write, *, writers: int, pause: float = 0.0) -> Sent:
    """Write each of `names` by so many writers, of which each rests after a write; returns when each was sent."""
    sent: Sent = {}
    left = iter(names)

    async def writer() -> None:
        for name in left:
            sent[name] = time.perf_counter()
            await one(name)
            await asyncio.sleep(pause)

    await asyncio.gather(*(writer() for _ in range(writers)))
    return sent


async def write_at_rate(names: Iterable[str], one: Write, *, per_second: float) -> Sent:
    """Send a write when it is due, however long those before it take; returns when each was sent."""
    sent: Sent = {}
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, name in enumerate(names):
            await asyncio.sleep(began + number / per_second - time.perf_counter())
            sent[name] = time.perf_counter()
            tasks.create_task(one(name))
    return sent


async def at_once(calls: Iterable[Awaitable[Any]]) -> None:
    """As fast as a client with as many connections as there are calls under way can."""
    gate = asyncio.Semaphore(_CONNECTIONS)

    async def one(call: Awaitable[Any]) -> None:
        async with gate:
            await call

    await asyncio.gather(*map(one, calls))


class ReadyWatch:
    """Knows when each generation of an Experiment was first seen Ready, also when a watch ends in between."""

    def __init__(self, kube: KubeClient) -> None:
        self._ready: dict[str, dict[int, float]] = {}
        self._changed = asyncio.Event()
        self.run = Reflector(kube, Source(EXPERIMENT), self._observe).run

    def _observe(self, change: Change) -> None:
        if change.ref and change.new is None:
            self._ready.pop(change.ref.name, None)
        elif change.ref and change.new:
            for condition in change.new.get("status", {}).get("conditions", ()):
                if condition["type"] == "Ready" and condition["status"] == "True":
                    seen = self._ready.setdefault(change.ref.name, {})
                    seen.setdefault(condition["observedGeneration"], time.perf_counter())
                    self._changed.set()

    def at(self, name: str, generation: int) -> float:
        """Say when it was seen, on the clock of `time.perf_counter`."""
        return self._ready[name][generation]

    async def until(self, names: Iterable[str], generation: int) -> None:
        async with asyncio.timeout(300):
            for name in names:
                while max(self._ready.get(name, (0,))) < generation:
                    self._changed.clear()
                    await self._changed.wait()


class Floor:
    """Three server-side applies and one status write by a bare client: what any operator has to pay at least."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._live: dict[str, Object] = {}

    async def prepare(self) -> None:
        """The objects, once created and once applied, so that only applies are measured."""
        meta = {"name": "floor", "namespace": NAMESPACE}
        await self._kube.create(
            AGENT, {"apiVersion": AGENT.api_version, "kind": AGENT.kind, "metadata": meta, "spec": {}}
        )
        for name in ("floor-a", "floor-b", "floor-c"):
            self._live[name] = await self._kube.create(CONFIG_MAP, self._config_map(name, ""))
        await self.once("0")

    async def once(self, mark: str) -> None:
        for name, live in self._live.items():
            self._live[name] = await self._kube.apply(CONFIG_MAP, self._config_map(name, mark), live)
        agent = ObjectRef(AGENT, NAMESPACE, "floor")
        await self._kube.merge_patch(agent, {"status": {"url": f"http://{mark}"}}, subresource="status")

    def _config_map(self, name: str, mark: str) -> dict[str, Any]:
        data = {"experiment.json": json.dumps(experiment(name)["spec"], indent=2), "mark": mark}
        meta = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
