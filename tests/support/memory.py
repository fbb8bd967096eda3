"""A world in memory for plans: one Experiment, what it depends on, and the children that carrying out plans leaves."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from experiments.errors import Problem
from experiments.models import LastReconciliation
from experiments.names import FINALIZER, REQUESTED_AT
from experiments.options import Options
from experiments.plan import Action, Plan, Step, plan
from experiments.resources import AGENT, AI_GATEWAY, EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import Snapshot, Subject
from kube.objects import CONFIG_MAP, Object, ObjectRef, Resource

# As charts of the wild declare them.
PARAMETERS = {
    "setup-template": ("bucket", "key", "datasetUrl"),
    "run-template": ("agentUrl", "experimentName", "otelExporterOtlpEndpoint"),
    "evaluate-template": ("openAiBasePath", "openApiBasePath", "openAiApiKey", "model"),
    "publish-template": ("experimentName", "otelExporterOtlpEndpoint"),
    "visualize-template": ("experimentName",),
}
NOW = "2026-11-23T12:00:00Z"


def _copy(obj: Object) -> Object:
    """Copy all of it, ten times as fast as `deepcopy`: some tests make thousands of plans."""
    copied: Object = pickle.loads(pickle.dumps(obj))
    return copied


class MemoryCaches:
    """Objects as the watcher looks them up."""

    def __init__(self, objects: Mapping[ObjectRef, Object]) -> None:
        self._objects = objects

    def get(self, ref: ObjectRef) -> Object | None:
        return self._objects.get(ref)

    def objects(self, resource: Resource) -> list[Object]:
        return [obj for ref, obj in self._objects.items() if ref.resource == resource]

    def of(self, resource: Resource, key_of: Callable[[Object], Hashable], key: Hashable) -> list[Object]:
        return [obj for obj in self.objects(resource) if key_of(obj) == key]

    def served(self, _: Resource) -> bool:
        return True


class MemoryWorld:
    """`MemoryWorld(trigger={…})` has an Experiment `default/weather` with one scenario and that in its spec.

    A field that is None is left out. Agents, gateways and `otel-config` are missing until they are put there.
    """

    def __init__(self, testkube_namespace: str = "testkube", *, namespace: str = "default", **spec: Any) -> None:
        self.options = Options(testkube_namespace)
        self.objects: dict[ObjectRef, Object] = {}
        self.unserved: set[Resource] = set()
        self._uids = 0
        self.experiment: Object = {
            "apiVersion": EXPERIMENT.api_version,
            "kind": EXPERIMENT.kind,
            "metadata": {"name": "weather", "namespace": namespace, "uid": "exp-1", "generation": 0},
            "spec": {},
        }
        scenarios = [{"name": "Oslo", "steps": [{"input": "Will it rain?"}]}]
        self.edit(**{"agentRef": {"name": "agent"}, "scenarios": scenarios, **spec})
        for name in PARAMETERS:
            self.template(name)

    @property
    def metadata(self) -> Object:
        metadata: Object = self.experiment["metadata"]
        return metadata

    @property
    def status(self) -> Object:
        status: Object = self.experiment.setdefault("status", {})
        return status

    @property
    def subject(self) -> Subject:
        return Subject.of(_copy(self.experiment), self.options)

    def edit(self, **spec: Any) -> None:
        """Changes the spec, as `kubectl edit` does: the generation goes up."""
        changed = {**self.experiment["spec"], **spec}
        self.experiment["spec"] = {name: value for name, value in changed.items() if value is not None}
        self.metadata["generation"] += 1

    def put(self, resource: Resource, name: str, namespace: str = "default", **body: Any) -> ObjectRef:
        """An object that this service has not made."""
        ref = ObjectRef(resource, namespace, name)
        self._uids += 1
        metadata = {"name": name, "namespace": namespace, "uid": f"uid-{self._uids}", **body.pop("metadata", {})}
        self.objects[ref] = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
            **_copy(body),
        }
        return ref

    def agent(self, **body: Any) -> ObjectRef:
        return self.put(AGENT, "agent", **body)

    def gateway(self, namespace: str = "ai-gateway", **spec: Any) -> ObjectRef:
        return self.put(AI_GATEWAY, "gateway", namespace, spec=spec)

    def otel_config(self, endpoint: str, namespace: str = "default") -> ObjectRef:
        return self.put(CONFIG_MAP, "otel-config", namespace, data={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})

    def template(self, name: str, *parameters: str, **declared: Any) -> ObjectRef:
        """Declares these, all with a default but those given as `name={…}`; by default what charts of the wild do."""
        names = parameters or (() if declared else PARAMETERS[name])
        config = {**{parameter: {"type": "string", "default": ""} for parameter in names}, **declared}
        namespace = self.options.testkube_namespace_for(self.metadata["namespace"])
        return self.put(TEST_WORKFLOW_TEMPLATE, name, namespace, spec={"config": config})

    def template_sets(self, name: str, **environment: str) -> None:
        """Gives a template a step that sets these variables itself."""
        (ref,) = (ref for ref in self.objects if ref.resource == TEST_WORKFLOW_TEMPLATE and ref.name == name)
        env = [{"name": variable, "value": value} for variable, value in environment.items()]
        self.objects[ref]["spec"].setdefault("steps", []).append({"name": "step", "run": {"env": env}})

    def snapshot(self) -> Snapshot:
        return Snapshot(self.subject, self._copies(), frozenset(self.unserved))

    def _copies(self) -> dict[ObjectRef, Object]:
        return {ref: _copy(obj) for ref, obj in self.objects.items()}

    def taken(self) -> Snapshot:
        """Take the snapshot as the watcher does: of what the plan may read, and nothing else."""
        return Snapshot.take(self.subject, MemoryCaches(self._copies()))

    def plan(self, failures: Mapping[ObjectRef, Problem] | None = None) -> Plan:
        return plan(self.snapshot(), failures or {})

    def settle(self) -> list[str]:
        """One run of the workflow: each action of the plan, then the status."""
        done = [str(action) for action in self.steps()]
        self.report()
        return done

    def steps(self) -> Iterator[Action]:
        """Each action of the plan once it is done. Like the worker it plans again before each, but for an abort."""
        for announced in self.plan().actions:
            wanted = (announced.step, announced.ref)
            again = next((a for a in self.plan().actions if (a.step, a.ref) == wanted), None)
            action = announced if announced.step == Step.ABORT_EXECUTIONS else again
            if action is None:
                return  # not needed any more: the worker begins another pass
            self._carry_out(action)
            yield action

    def report(self) -> None:
        """Writes the status, as a merge patch that went through JSON."""
        planned = self.plan()
        if planned.report is None:
            return
        run = LastReconciliation(
            workflow_id="w", run_id="r", time=NOW, requested_at=self.subject.meta.annotations.get(REQUESTED_AT)
        )
        patch = json.loads(json.dumps(planned.report.status(self.subject.status, run)))["status"]
        merged = {**self.status, **patch}
        self.experiment["status"] = {name: value for name, value in merged.items() if value is not None}

    def live(self, resource: Resource) -> list[Object]:
        """The children of this kind that exist."""
        return [self.objects[ref] for ref in self.snapshot().own_children if ref.resource == resource]

    def child(self, resource: Resource) -> Object:
        """The only one of this kind."""
        (found,) = self.live(resource)
        return found

    def manifest(self, resource: Resource) -> Object:
        """The child as the plan would create it, in a world that has none yet."""
        (found,) = (a.manifest for a in self.plan().actions if a.ref.resource == resource and a.manifest)
        return found

    def config(self) -> dict[str, dict[str, str]]:
        """What each template is passed, by its name."""
        return {use["name"]: use.get("config", {}) for use in self.manifest(TEST_WORKFLOW)["spec"]["use"]}

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message that the plan reports."""
        report = self.plan().report
        assert report is not None
        (found,) = (c for c in report.conditions if c.type == kind)
        return found.status, str(found.reason), found.message

    def children(self) -> list[Object]:
        return [self.child(resource) for resource in (CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER)]

    def _carry_out(self, action: Action) -> None:
        finalizers = self.metadata.setdefault("finalizers", [])
        if action.step == Step.ADD_FINALIZER:
            finalizers.append(FINALIZER)
        elif action.step == Step.REMOVE_FINALIZER:
            finalizers.remove(FINALIZER)
        elif action.step == Step.ABORT_EXECUTIONS:
            pass
        elif action.manifest is None and self.objects[action.ref]["metadata"].get("finalizers"):
            self.objects[action.ref]["metadata"]["deletionTimestamp"] = NOW
        elif action.manifest is None:
            del self.objects[action.ref]
        else:
            applied = _copy(action.manifest)
            live = self.objects.get(action.ref, {"metadata": {}})["metadata"]
            self._uids += 1
            applied["metadata"]["uid"] = live.get("uid", f"uid-{self._uids}")
            applied["metadata"]["labels"] = {**live.get("labels", {}), **applied["metadata"]["labels"]}
            self.objects[action.ref] = applied
