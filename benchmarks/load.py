"""The Experiments that are measured, and a watch that sees them become Ready."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from experiments.resources import AGENT, EXPERIMENT
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Object, ObjectRef, Source
from kube.reflector import Change, Reflector

NAMESPACE = "testkube"


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


class ReadyWatch:
    """Knows the generation with which each Experiment was last seen Ready, also when a watch ends in between."""

    def __init__(self, kube: KubeClient) -> None:
        self._ready: dict[str, int] = {}
        self._changed = asyncio.Event()
        self.run = Reflector(kube, Source(EXPERIMENT), self._observe).run

    def _observe(self, change: Change) -> None:
        status = (change.new or {}).get("status", {})
        if change.ref and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())):
            self._ready[change.ref.name] = status["observedGeneration"]
            self._changed.set()

    async def until(self, names: list[str], generation: int) -> None:
        async with asyncio.timeout(300):
            while not all(self._ready.get(name, 0) >= generation for name in names):
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
