"""One test's namespace on a cluster, with the Experiments, agents and gateways that it wants there."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowExecution

from experiments.contract import workflow_id_prefix
from experiments.models import ExperimentStatus
from experiments.names import CHILD_SUFFIXES, UID_LABEL, Placement, placement
from experiments.options import Options
from experiments.resources import AGENT, AI_GATEWAY, EXPERIMENT
from kube.client import KubeClient
from kube.errors import NotFoundError, NotServedError
from kube.objects import CONFIG_MAP, EVENT, Object, ObjectRef, Resource, ref_of
from localcluster import LocalCluster
from support.polling import until

NAMESPACE = Resource("v1", "Namespace", "namespaces")
SCENARIOS = [{"name": "greeting", "steps": [{"input": "Hello?", "metrics": [{"metricName": "AnswerRelevancy"}]}]}]


async def new_namespace(kube: KubeClient, prefix: str) -> str:
    """Make a namespace that nobody else has. It goes with the cluster: to delete one is the work of many calls."""
    name = f"{prefix}-{uuid4().hex[:8]}"
    await kube.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


async def remove_experiments(kube: KubeClient) -> None:
    """Delete all Experiments of the cluster and their children by force, where nobody is there who would do it."""

    async def remove(resource: Resource, obj: Object) -> None:
        ref = ref_of(resource, obj)
        with suppress(NotFoundError):
            if obj["metadata"].get("finalizers"):
                await kube.merge_patch(ref, {"metadata": {"finalizers": None}})
            await kube.delete(ref, uid=obj["metadata"]["uid"])

    for resource in (EXPERIMENT, *CHILD_SUFFIXES):
        selector = "" if resource == EXPERIMENT else UID_LABEL
        with suppress(NotServedError):  # a test may have taken the kind away
            await asyncio.gather(*(remove(resource, obj) for obj in await kube.list(resource, label_selector=selector)))


class World:
    """One test's namespace, and the questions that tests ask of the cluster. `options` are those of the service."""

    def __init__(
        self, cluster: LocalCluster, kube: KubeClient, temporal: Client, namespace: str, *, name: str = "demo"
    ) -> None:
        self.cluster, self.kube, self.temporal, self.namespace = cluster, kube, temporal, namespace
        self.name = name
        self.options = Options()

    until = staticmethod(until)

    def ref(self, name: str = "demo") -> ObjectRef:
        return ObjectRef(EXPERIMENT, self.namespace, name)

    def places(self, name: str = "demo") -> Placement:
        return placement(self.namespace, name, self.options)

    def experiment(self, name: str = "demo", **spec: Any) -> Object:
        body = {"agentRef": {"name": "weather"}, "scenarios": SCENARIOS, "trigger": {"enabled": True}, **spec}
        return {
            "apiVersion": EXPERIMENT.api_version,
            "kind": EXPERIMENT.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {key: value for key, value in body.items() if value is not None},
        }

    async def create(self, name: str = "demo", **spec: Any) -> Object:
        return await self.kube.create(EXPERIMENT, self.experiment(name, **spec))

    async def edit(self, name: str = "demo", **spec: Any) -> Object:
        """As a person with kubectl would: a merge patch of the spec, where None removes a field."""
        return await self.kube.merge_patch(self.ref(name), {"spec": spec})

    async def agent(self, name: str = "weather", *, url: str | None = None, protocols: Any = ()) -> None:
        ref = ObjectRef(AGENT, self.namespace, name)
        meta = {"name": name, "namespace": self.namespace}
        if await self.get(ref) is None:
            body = {"apiVersion": AGENT.api_version, "kind": AGENT.kind, "metadata": meta}
            await self.kube.create(AGENT, {**body, "spec": {"protocols": list(protocols)}})
        await self.kube.merge_patch(ref, {"status": {"url": url}}, subresource="status")

    async def gateway(self, name: str = "judge") -> None:
        meta = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": AI_GATEWAY.api_version, "kind": AI_GATEWAY.kind, "metadata": meta}
        models = [{"name": "gpt-4o", "provider": "openai"}]
        await self.kube.create(AI_GATEWAY, {**body, "spec": {"port": 4000, "aiModels": models}})

    async def otel_config(self, endpoint: str) -> None:
        meta = {"name": "otel-config", "namespace": self.namespace}
        data = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        if await self.get(ObjectRef(CONFIG_MAP, self.namespace, "otel-config")) is None:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
            await self.kube.create(CONFIG_MAP, {**body, "data": data})
        else:
            await self.kube.merge_patch(ObjectRef(CONFIG_MAP, self.namespace, "otel-config"), {"data": data})

    async def get(self, ref: ObjectRef) -> Object | None:
        try:
            return await self.kube.get(ref)
        except NotFoundError:
            return None

    async def children(self, name: str = "demo") -> list[Object | None]:
        return [await self.get(ref) for ref in self.places(name).children]

    async def children_of(self, uid: str) -> list[ObjectRef]:
        """All that there is for the Experiment with this uid, wherever it is."""
        return [
            ref_of(resource, child)
            for resource in CHILD_SUFFIXES
            for child in await self.kube.list(resource, label_selector=f"{UID_LABEL}={uid}")
        ]

    async def use(self, name: str = "demo") -> dict[str, dict[str, str]]:
        """What the TestWorkflow passes to each template."""
        workflow = await self.kube.get(self.places(name).test_workflow)
        return {step["name"].removesuffix("-template"): step.get("config", {}) for step in workflow["spec"]["use"]}

    async def experiment_json(self, name: str = "demo") -> Any:
        return json.loads((await self.kube.get(self.places(name).config_map))["data"]["experiment.json"])

    async def status(self, name: str = "demo") -> ExperimentStatus:
        obj = await self.kube.get(self.ref(name))
        return ExperimentStatus.model_validate(obj.get("status", {}))

    async def reported(self, name: str = "demo", *, reason: str = "Reconciled") -> ExperimentStatus:
        """Waits until the status speaks of the present generation and Ready has this reason."""

        async def ask() -> tuple[ExperimentStatus, int]:
            obj = await self.kube.get(self.ref(name))
            return ExperimentStatus.model_validate(obj.get("status", {})), obj["metadata"]["generation"]

        def told(answer: tuple[ExperimentStatus, int]) -> bool:
            ready = answer[0].condition("Ready")
            return answer[0].observed_generation == answer[1] and ready is not None and ready.reason == reason

        return (await until(ask, told))[0]

    async def runs(self, name: str = "demo") -> list[WorkflowExecution]:
        """All runs that this name ever had, newest first, as far as visibility has heard of them."""
        query = f"WorkflowId STARTS_WITH '{workflow_id_prefix(self.namespace, name)}'"
        return [run async for run in self.temporal.list_workflows(query)]

    async def closed_runs(self, count: int, name: str = "demo") -> list[WorkflowExecution]:
        return await until(lambda: self.runs(name), lambda r: len(r) == count and all(run.close_time for run in r))

    async def reasons(self, name: str = "demo") -> list[list[str]]:
        """The reasons for which each run began, oldest first."""
        return [(await run.memo())["reasons"] for run in reversed(await self.runs(name))]

    async def events(self, name: str = "demo") -> list[Object]:
        listed = await self.kube.list(EVENT, namespace=self.namespace)
        return [event for event in listed if event["involvedObject"]["name"] == name]
