"""What tests on real parts share: one local cluster, which starts when the first of them asks for it, and `world`."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from temporalio.client import Client, WorkflowExecution

from experiments.contract import workflow_id_prefix
from experiments.models import ExperimentStatus
from experiments.names import CHILD_SUFFIXES, UID_LABEL, Placement, placement
from experiments.options import Options
from experiments.resources import AGENT, AI_GATEWAY, EXPERIMENT
from kube.client import KubeClient
from kube.errors import NotFound
from kube.objects import CONFIG_MAP, EVENT, Object, ObjectRef, ref_of
from localcluster import LocalCluster

_CRDS = Path(__file__).parents[1] / "crds"
_PATIENCE = 60.0

T = TypeVar("T")

SCENARIOS = [{"name": "greeting", "steps": [{"input": "Hello?", "metrics": [{"metricName": "AnswerRelevancy"}]}]}]


class World:
    """One test's namespace, and the questions that tests ask of the cluster. `options` are those of the service."""

    def __init__(self, cluster: LocalCluster, kube: KubeClient, temporal: Client, namespace: str) -> None:
        self.cluster, self.kube, self.temporal, self.namespace = cluster, kube, temporal, namespace
        self.options = Options()

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
        except NotFound:
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

    async def until(
        self, ask: Callable[[], Awaitable[T]], told: Callable[[T], Any] = bool, *, patience: float = _PATIENCE
    ) -> T:
        """Asks until the answer is as `told` wants it; fails with the last answer."""
        answer: Any = None
        try:
            async with asyncio.timeout(patience):
                while True:
                    answer = await ask()
                    if told(answer):
                        return answer
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"still {str(answer)[:1000]}")

    async def reported(self, name: str = "demo", *, reason: str = "Reconciled") -> ExperimentStatus:
        """Waits until the status speaks of the present generation and Ready has this reason."""

        async def ask() -> tuple[ExperimentStatus, int]:
            obj = await self.kube.get(self.ref(name))
            return ExperimentStatus.model_validate(obj.get("status", {})), obj["metadata"]["generation"]

        def told(answer: tuple[ExperimentStatus, int]) -> bool:
            ready = answer[0].condition("Ready")
            return answer[0].observed_generation == answer[1] and ready is not None and ready.reason == reason

        return (await self.until(ask, told))[0]

    async def runs(self, name: str = "demo") -> list[WorkflowExecution]:
        """All runs that this name ever had, newest first, as far as visibility has heard of them."""
        query = f"WorkflowId STARTS_WITH '{workflow_id_prefix(self.namespace, name)}'"
        return [run async for run in self.temporal.list_workflows(query)]

    async def closed_runs(self, count: int, name: str = "demo") -> list[WorkflowExecution]:
        return await self.until(lambda: self.runs(name), lambda r: len(r) == count and all(run.close_time for run in r))

    async def reasons(self, name: str = "demo") -> list[list[str]]:
        """The reasons for which each run began, oldest first."""
        return [(await run.memo())["reasons"] for run in reversed(await self.runs(name))]

    async def events(self, name: str = "demo") -> list[Object]:
        listed = await self.kube.list(EVENT, namespace=self.namespace)
        return [event for event in listed if event["involvedObject"]["name"] == name]


class _running:  # noqa: N801 - used like a function
    """Runs coroutines beside the tests and ends them afterwards; what one of them raised is raised."""

    def __init__(self, *work: Any) -> None:
        self._work = work

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(work) for work in self._work]

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[LocalCluster]:
    """A running cluster with the project's CRD. It is shared: a test uses a namespace of its own, and stops nothing."""
    async with LocalCluster.start() as running:
        await running.install(_CRDS)
        yield running


@pytest.fixture(scope="session")
def kubeconfig(cluster: LocalCluster) -> Path:
    """Of an administrator of the shared cluster."""
    return cluster.kubeconfig


@pytest.fixture(scope="session")
def kubeconfig_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[LocalCluster, str], Awaitable[Path]]:
    """`await kubeconfig_of(cluster, "watcher")`: with its ServiceAccount's token; `deploy/base` must have been applied.

    The cluster is named because pytest would keep that of the first folder that asks.
    """

    async def write(cluster: LocalCluster, role: str) -> Path:
        account = ("-n", "experiment-operator", f"experiment-operator-{role}")
        token = (await cluster.kubectl("create", "token", *account)).strip()
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        path = tmp_path_factory.mktemp(role) / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    return write


@pytest.fixture
async def world(cluster: LocalCluster, kube: KubeClient, temporal: Client) -> AsyncIterator[World]:
    """In a namespace of its own, on whatever `cluster`, `kube` and `temporal` the test's folder has."""
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    await cluster.kubectl("create", "namespace", namespace)
    yield World(cluster, kube, temporal, namespace)
    await cluster.kubectl("delete", "namespace", namespace, "--wait=false")


# Test folders cannot import from here: what they need beyond fixtures is handed to them by these two.
@pytest.fixture(scope="session")
def world_class() -> type[World]:
    return World


@pytest.fixture(scope="session")
def running() -> type[_running]:
    return _running
