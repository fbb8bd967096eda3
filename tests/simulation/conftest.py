"""The simulated Testkube as a process, in a namespace of its own for each test, with templates and a Deployment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, DEPLOYMENT, EVENT, Object, ObjectRef
from localcluster import LocalCluster
from localcluster.processes import Process, on_free_ports
from support.clusters import TEMPLATES
from support.polling import until

AGENT, WORKFLOW, TRIGGER, FILE = "weather-agent", "weather-workflow", "weather-trigger", "weather-experiment"
ENDED = {"passed", "failed", "aborted", "canceled"}
EXPERIMENT = {
    "llm_as_a_judge_model": "a-judge",
    "default_threshold": 0.9,
    "scenarios": [
        {
            "name": f"Scenario {number}",
            "steps": [
                {
                    "input": f"Question {number}?",
                    "reference": {"tool_calls": [{"name": "look", "args": {"number": number}}]},
                    "metrics": [{"metric_name": "ToolCallAccuracy"}, {"metric_name": "Told", "threshold": 0.5}],
                }
            ],
        }
        for number in range(4)
    ],
}


@dataclass
class Testkube:
    """A simulated Testkube and its namespace, where the agent lives as well."""

    kube: KubeClient
    namespace: str
    url: str
    http: aiohttp.ClientSession
    process: Process

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.url}/v1/{path}") as response:
            text = await response.text()
            return json.loads(text) if response.content_type == "application/json" else text

    async def post(self, path: str, body: Any = None) -> Any:
        async with self.http.post(f"{self.url}/v1/{path}", json=body or {}) as response:
            return await response.json() if response.status == 200 else response.status

    async def execute(self, **body: Any) -> str:
        return str((await self.post(f"test-workflows/{WORKFLOW}/executions", body))["id"])

    async def executions(self) -> list[Object]:
        return list((await self.get("test-workflow-executions"))["results"])

    async def ended(self, execution: str) -> Object:
        path = f"test-workflow-executions/{execution}"
        return dict(await until(lambda: self.get(path), lambda told: told["result"]["status"] in ENDED))

    async def scores(self, execution: str) -> Object:
        path = "data%2Fexperiments%2Fevaluated_experiment.json"
        async with self.http.get(
            _as_is(f"{self.url}/v1/test-workflow-executions/{execution}/artifacts/{path}")
        ) as read:
            return dict(json.loads(await read.text()))

    async def reasons(self, execution: str) -> list[str]:
        listed = await self.kube.list(EVENT, namespace=self.namespace)
        of_this = [each for each in listed if each["message"] == f"executionId={execution}"]
        return [each["reason"] for each in sorted(of_this, key=lambda each: each["eventTime"])]

    async def roll_out(self, image: str, **spec: Any) -> Object:
        ref = ObjectRef(DEPLOYMENT, self.namespace, AGENT)
        containers = [{"name": "agent", "image": image}]
        return await self.kube.merge_patch(ref, {"spec": {**spec, "template": {"spec": {"containers": containers}}}})

    async def age_rollout(self) -> None:
        """Make the end of the last rollout one of long ago."""
        ref = ObjectRef(DEPLOYMENT, self.namespace, AGENT)
        conditions = (await self.kube.get(ref))["status"]["conditions"]
        past = {"lastUpdateTime": "2020-01-01T00:00:00Z", "lastTransitionTime": "2020-01-01T00:00:00Z"}
        patch = {"status": {"conditions": [each | past for each in conditions]}}
        await self.kube.merge_patch(ref, patch, subresource="status")

    async def conditions(self) -> dict[str, str]:
        status = (await self.kube.get(ObjectRef(DEPLOYMENT, self.namespace, AGENT))).get("status", {})
        return {each["type"]: each["reason"] for each in status.get("conditions", ())}

    def meta(self, name: str, **labels: str) -> Object:
        return {"metadata": {"name": name, "namespace": self.namespace, "labels": labels}}

    async def deployment(self, image: str) -> None:
        """The agent's, rolled out."""
        labels = {"app": AGENT}
        containers = [{"name": "agent", "image": image}]
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        body = {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, **self.meta(AGENT), "spec": spec}
        await self.kube.create(DEPLOYMENT, body)
        await until(self.conditions, lambda told: told.get("Progressing") == "NewReplicaSetAvailable")

    async def workflow(self, *more: Object, file: bool = True) -> None:
        """What this service generates, with the shipped templates and perhaps more."""
        name = {"experimentName": "weather"}
        url = f"http://{AGENT}.{self.namespace}.svc.cluster.local:8000"
        use: list[Object] = [
            {"name": "run-template", "config": {"agentUrl": url, **name}},
            {"name": "evaluate-template"},
            {"name": "publish-template", "config": name},
            {"name": "visualize-template", "config": name},
        ]
        use += more
        source = {"configMapKeyRef": {"name": FILE, "key": "experiment.json"}}
        content = {"files": [{"path": "/data/datasets/experiment.json", "contentFrom": source}]}
        body = {"apiVersion": TEST_WORKFLOW.api_version, "kind": TEST_WORKFLOW.kind, **self.meta(WORKFLOW, team="sky")}
        await self.kube.create(
            TEST_WORKFLOW, {**body, "spec": {"use": use, "content": content, "execution": {"tags": {"suite": "all"}}}}
        )
        if file:
            await self.file()
        await until(lambda: self.get(f"test-workflows/{WORKFLOW}"), lambda told: "name" in told)

    async def file(self) -> None:
        data = {"data": {"experiment.json": json.dumps(EXPERIMENT)}}
        await self.kube.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", **self.meta(FILE), **data})

    async def trigger(self, **spec: Any) -> None:
        body = {"apiVersion": TEST_TRIGGER.api_version, "kind": TEST_TRIGGER.kind, **self.meta(TRIGGER)}
        to_run = {"action": "run", "execution": "testworkflow", "testSelector": {"name": WORKFLOW}}
        on = {"resource": "deployment", "resourceSelector": {"name": AGENT}, "event": "deployment-image-update"}
        await self.kube.create(TEST_TRIGGER, {**body, "spec": {**to_run, **on, **spec}})


@pytest.fixture
async def testkube(cluster: LocalCluster, kube: KubeClient, namespace: str, tmp_path: Path) -> AsyncIterator[Testkube]:
    await cluster.kubectl("apply", "-n", namespace, "-f", str(TEMPLATES))

    async def start(ports: list[int]) -> tuple[Process, int]:
        own = ["--namespace", namespace, "--port", str(ports[0]), "--pace", "0.05", "--rollout", "0.5"]
        command = [sys.executable, "-m", "localcluster.testkube", *own]
        return Process.start(command, tmp_path / "testkube.log", environ=_environment(cluster)), ports[0]

    process, port = await on_free_ports(1, start)
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as http:
            await process.until(lambda: _answers(http, url))
            yield Testkube(kube, namespace, url, http, process)
    finally:
        await process.stop()


def _environment(cluster: LocalCluster) -> dict[str, str]:
    return {**os.environ, **cluster.env()}


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/v1/info") as response:
            return response.ok
    except aiohttp.ClientError:
        return False


def _as_is(url: str) -> Any:
    return URL(url, encoded=True)
