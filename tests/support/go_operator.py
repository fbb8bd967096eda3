"""What the Go operator leaves behind, written as it writes it, and what happens to it then."""

from __future__ import annotations

import json
from typing import Any

from experiments.names import CHILD_SUFFIXES, EXPERIMENT_ANNOTATION
from experiments.resources import EXPERIMENT, GROUP, TEST_TRIGGER, TEST_WORKFLOW
from kube.client import KubeClient
from kube.objects import CONFIG_MAP, Object, ObjectRef, Source, ref_of
from localcluster import LocalCluster

_OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"


class GoOperator:
    """Writes what the Go operator writes for an Experiment, as its field manager, and the status that it leaves."""

    def __init__(self, cluster: LocalCluster, kube: KubeClient) -> None:
        self._cluster, self._kube = cluster, kube

    async def make_beside(self, experiment: Object) -> list[ObjectRef]:
        """The first generation: everything in the Experiment's own namespace, which the Experiment controls."""
        meta, spec = experiment["metadata"], experiment["spec"]
        owner = _owner(EXPERIMENT.api_version, EXPERIMENT.kind, meta)
        body = _bodies(meta["name"], meta["namespace"], spec, path_of_otlp=True)
        refs = [
            await self._create(_named(kind, meta["namespace"], f"{meta['name']}{CHILD_SUFFIXES[kind]}"), owner, part)
            for kind, part in body.items()
        ]
        generated = [{"kind": r.resource.kind, "name": r.name, "namespace": r.namespace} for r in refs]
        await self._report(experiment, generatedResources=generated)
        return refs

    async def make_in_testkube(self, experiment: Object) -> list[ObjectRef]:
        """The second generation: everything in `testkube`, controlled by an anchor, which the last of the list is."""
        meta, spec = experiment["metadata"], experiment["spec"]
        stem = f"{meta['name']}-{meta['namespace']}"
        anchor = await self._create(_named(CONFIG_MAP, "testkube", f"{stem}-anchor", _labels(meta, "anchor")), None, {})
        owner = _owner("v1", "ConfigMap", (await self._kube.get(anchor))["metadata"])
        types = {CONFIG_MAP: "dataset", TEST_WORKFLOW: "workflow", TEST_TRIGGER: "trigger"}
        refs = [
            await self._create(
                _named(kind, "testkube", f"{stem}{CHILD_SUFFIXES[kind]}", _labels(meta, types[kind])), owner, part
            )
            for kind, part in _bodies(stem, "testkube", spec).items()
        ]
        await self._report(experiment)
        return [*refs, anchor]

    async def _create(self, obj: Object, owner: Object | None, body: Object) -> ObjectRef:
        manifest = {**obj, **body}
        manifest["metadata"] |= {"ownerReferences": [owner]} if owner else {}
        # Not strict: it writes fields that not every release of Testkube has.
        await self._cluster.kubectl(
            "create", "-f", "-", "--field-manager=manager", "--validate=false", stdin=json.dumps(manifest)
        )
        resource = next(r for r in CHILD_SUFFIXES if r.kind == obj["kind"])
        return ref_of(resource, obj)

    async def _report(self, experiment: Object, **more: Any) -> None:
        said = {"lastTransitionTime": "2026-03-01T08:00:00Z", "observedGeneration": 1, "status": "True"}
        ready = {**said, "type": "Ready", "reason": "ReconcileSucceeded", "message": "All resources reconciled"}
        workflow = {**said, "type": "WorkflowReady", "reason": "WorkflowCreated", "message": "TestWorkflow created"}
        patch = {"status": {"conditions": [ready, workflow], **more}}
        await self._kube.merge_patch(ref_of(EXPERIMENT, experiment), patch, subresource="status")


def _owner(api_version: str, kind: str, meta: Object) -> Object:
    reference = {"apiVersion": api_version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}
    return {**reference, "blockOwnerDeletion": True}


def _named(resource: Any, namespace: str, name: str, labels: dict[str, str] | None = None) -> Object:
    meta = {"namespace": namespace, "name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}


def _labels(meta: Object, resource_type: str) -> dict[str, str]:
    told = {"experiment-name": meta["name"], "experiment-namespace": meta["namespace"]}
    own = {"managed-by": "experiment-controller", "resource-type": resource_type}
    return {f"{GROUP}/{key}": value for key, value in {**told, **own}.items()}


def _bodies(stem: str, namespace: str, spec: Object, *, path_of_otlp: bool = False) -> dict[Any, Object]:
    """By kind, in the order of creation, what is in the objects of an inline Experiment."""
    scenarios = spec.get("scenarios") or spec["dataset"]["inline"]["scenarios"]
    text = json.dumps({"default_threshold": 0.9, "scenarios": scenarios}, indent=2)
    run = {"name": "run-template", "config": {"agentUrl": f"http://{spec['agentRef']['name']}.agents:8000"}}
    others = [{"name": f"{phase}-template"} for phase in ("evaluate", "publish", "visualize")]
    source = {"configMapKeyRef": {"name": f"{stem}-experiment", "key": "experiment.json"}}
    workflow: Object = {
        "content": {"files": [{"path": "/data/datasets/experiment.json", "contentFrom": source}]},
        "use": [run, *others],
    }
    if path_of_otlp:
        workflow["container"] = {
            "env": [{"name": _OTLP, "valueFrom": {"configMapKeyRef": {"name": "otel-config", "key": _OTLP}}}]
        }
    trigger = {
        "resource": "deployment",
        "resourceSelector": {"name": spec["agentRef"]["name"], "namespace": "agents"},
        "event": "modified",
        "action": "run",
        "execution": "testworkflow",
        "concurrencyPolicy": "allow",
        "testSelector": {"name": f"{stem}-workflow", "namespace": namespace},
        "disabled": False,
    }
    return {
        CONFIG_MAP: {"data": {"experiment.json": text}},
        TEST_WORKFLOW: {"spec": workflow},
        TEST_TRIGGER: {"spec": trigger},
    }


class Diary:
    """Every change of ConfigMaps, TestWorkflows and TestTriggers, in the order in which the API server made them."""

    def __init__(self) -> None:
        self._events: list[tuple[int, ObjectRef, str, str]] = []

    async def read(self, kube: KubeClient, kind: Any, since: str) -> None:
        """All that has happened by now: the API server sends it at once, and ends the watch when asked to."""
        async with kube.watch(Source(kind), since, idle_seconds=10, server_seconds=1) as events:
            async for event in events:
                if event["type"] != "BOOKMARK":
                    meta = event["object"]["metadata"]
                    owner = meta.get("annotations", {}).get(EXPERIMENT_ANNOTATION, "")
                    told = int(meta["resourceVersion"]), ref_of(kind, event["object"]), event["type"], owner
                    self._events.append(told)

    def deleted(self) -> list[ObjectRef]:
        return [ref for _, ref, what, _ in self._events if what == "DELETED"]

    def fewest(self, kind: Any, before: list[ObjectRef], experiment: str) -> int:
        """How many of a kind there were for an Experiment at the moment when there were fewest."""
        alive = {ref for ref in before if ref.resource == kind}
        least = len(alive)
        for _, ref, what, owner in sorted(self._events, key=lambda event: event[0]):
            if ref.resource == kind and (ref in alive or owner == experiment):
                alive = alive - {ref} if what == "DELETED" else alive | {ref}
                least = min(least, len(alive))
        return least
