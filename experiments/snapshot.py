"""Everything a plan looks at: one Experiment, what it depends on, and the children that exist.

`Subject` tells which objects to read; the watcher reads them from its caches and the worker from the API server, and
both hand the plan the same `Snapshot`. No I/O here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from pydantic import ValidationError

from experiments.errors import Problem
from experiments.models import ExperimentSpec, ExperimentStatus, GeneratedResource, Metadata, parse_status, sentences
from experiments.names import (
    CHILD_KINDS,
    CHILD_SUFFIXES,
    MANAGED_BY,
    MANAGER,
    REQUESTED_AT,
    Placement,
    belongs_to,
    placement,
)
from experiments.options import Options
from experiments.resources import AGENT, AI_GATEWAY, EXPERIMENT, TEST_TRIGGER, TEST_WORKFLOW_TEMPLATE
from kube.objects import CONFIG_MAP, Object, ObjectRef, Resource, Source, ref_of

OTEL_CONFIG = "otel-config"
GATEWAY_NAMESPACE = "ai-gateway"
ANY_GATEWAY = ObjectRef(AI_GATEWAY, "", "")
"""Stands for all of them among the dependencies of an Experiment that names none."""


@dataclass(frozen=True)
class Subject:
    """An Experiment as far as it can be understood: `spec` is None, and `errors` say why, where it breaks the rules.

    An object that the CRD would refuse today may still exist, from a time with weaker rules, and still has to go away
    cleanly when it is deleted.
    """

    obj: Object
    options: Options
    meta: Metadata
    status: ExperimentStatus
    spec: ExperimentSpec | None
    errors: list[str]
    gone: bool = False
    """Whether the API server has no such Experiment any more, while children of it are left."""
    orphaning: bool = False
    """Whether it was deleted so that its children stay, without this service."""

    @classmethod
    def of_gone(cls, namespace: str, name: str, uid: str, options: Options) -> Subject:
        """Make one of which only its children tell."""
        meta = {"namespace": namespace, "name": name, "uid": uid, "deletionTimestamp": "unknown"}
        return replace(cls.of({"metadata": meta}, options), gone=True)

    @classmethod
    def of(cls, obj: Object, options: Options) -> Subject:
        """Read an Experiment. Raises `pydantic.ValidationError` for metadata that no API server lets pass."""
        spec, errors = None, []
        try:
            spec = ExperimentSpec.model_validate(obj.get("spec"))
        except ValidationError as error:
            errors = [f"spec.{line}".replace(".(root)", "") for line in sentences(error)]
        return cls(obj, options, Metadata.model_validate(obj.get("metadata")), parse_status(obj), spec, errors)

    def unsuspended(self) -> Subject:
        """Return it as it will be once nobody suspends it any more."""
        return replace(self, spec=self.spec and self.spec.model_copy(update={"suspend": False}))

    @property
    def being_deleted(self) -> bool:
        return self.meta.deletion_timestamp is not None

    @property
    def requested_at(self) -> str | None:
        """When a person last asked for a run, in that person's spelling."""
        return self.meta.annotations.get(REQUESTED_AT)

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(EXPERIMENT, self.meta.namespace, self.meta.name)

    @cached_property
    def placement(self) -> Placement:
        return placement(self.meta.namespace, self.meta.name, self.options)

    @property
    def agent(self) -> ObjectRef:
        ref = self._spec.agent_ref
        return ObjectRef(AGENT, ref.namespace or self.meta.namespace, ref.name)

    @property
    def gateways(self) -> tuple[ObjectRef, ...]:
        """Where the gateway that the spec names is looked for, in order; empty where it names none."""
        ref = self._spec.ai_gateway_ref
        if ref is None:
            return ()
        namespaces = (ref.namespace,) if ref.namespace else (self.meta.namespace, GATEWAY_NAMESPACE)
        return tuple(ObjectRef(AI_GATEWAY, namespace, ref.name) for namespace in dict.fromkeys(namespaces))

    @property
    def otel_configs(self) -> tuple[ObjectRef, ...]:
        """Where the OTLP endpoint is looked for, in order."""
        namespaces = dict.fromkeys((self.meta.namespace, self.placement.namespace))
        return tuple(ObjectRef(CONFIG_MAP, namespace, OTEL_CONFIG) for namespace in namespaces)

    @cached_property
    def templates(self) -> dict[str, ObjectRef]:
        """The template of each phase that this Experiment runs, in the order of the phases."""
        names = self.options.templates
        phases = {"run": names.run, "evaluate": names.evaluate, "publish": names.publish, "visualize": names.visualize}
        if self._spec.inline is None:
            phases = {"setup": names.setup, **phases}
        if self._spec.wants_gate:
            phases["gate"] = names.gate
        return {
            phase: ObjectRef(TEST_WORKFLOW_TEMPLATE, self.placement.namespace, name) for phase, name in phases.items()
        }

    @property
    def workflow_namesake(self) -> ObjectRef:
        """A template of the workflow's name: Testkube's scheduler cannot tell the two apart."""
        workflow = self.placement.test_workflow
        return ObjectRef(TEST_WORKFLOW_TEMPLATE, workflow.namespace, workflow.name)

    @cached_property
    def dependencies(self) -> tuple[ObjectRef, ...]:
        """Everything that a plan for this Experiment reads besides its children."""
        if self.spec is None:
            return ()
        gateways = self.gateways or (ANY_GATEWAY,)
        return (self.agent, *gateways, *self.otel_configs, *self.templates.values(), self.workflow_namesake)

    @cached_property
    def remembered(self) -> dict[ObjectRef, GeneratedResource]:
        """The children that the status names."""
        return {
            ObjectRef(CHILD_KINDS[r.kind], r.namespace or self.meta.namespace, r.name): r
            for r in self.status.generated_resources
            if r.kind in CHILD_KINDS
        }

    @property
    def remembered_children(self) -> tuple[ObjectRef, ...]:
        return tuple(self.remembered)

    @cached_property
    def known_children(self) -> tuple[ObjectRef, ...]:
        """Children by today's names and, after a move to another namespace, by those that the status remembers."""
        return tuple(dict.fromkeys((*self.placement.children, *self.remembered_children)))

    def owns(self, ref: ObjectRef, child: Object) -> bool:
        """Tell whether this service made `child` for this Experiment, or for an earlier one of its name."""
        if child["metadata"].get("uid") in self._remembered_uids:
            return True
        expected = ref in self.known_children
        return belongs_to(child, self.meta.namespace, self.meta.name, self.meta.uid, expected=expected)

    @cached_property
    def _remembered_uids(self) -> frozenset[str]:
        return frozenset(r.uid for r in self.status.generated_resources if r.uid)

    @property
    def _spec(self) -> ExperimentSpec:
        if self.spec is None:
            raise ValueError(f"{self.ref} has no valid spec")
        return self.spec


class Store(Protocol):
    """Where objects are looked up that somebody keeps up to date; `kube.caches.Caches` is one."""

    def get(self, ref: ObjectRef) -> Object | None: ...

    def objects(self, resource: Resource) -> list[Object]: ...

    def of(self, resource: Resource, key_of: Callable[[Object], Hashable], key: Hashable) -> list[Object]: ...

    def served(self, resource: Resource) -> bool: ...


@dataclass(frozen=True)
class Snapshot:
    """`objects` holds what was found under every reference read; a reference that is missing there does not exist.

    `refused` are children that could not be read, and why.
    """

    subject: Subject
    objects: Mapping[ObjectRef, Object]
    unserved: frozenset[Resource] = field(default_factory=frozenset)
    refused: Mapping[ObjectRef, Problem] = field(default_factory=dict)

    @classmethod
    def take(cls, subject: Subject, store: Store, more: Iterable[ObjectRef] = ()) -> Snapshot:
        """Read a store that covers `sources`. `more` are children known to whoever asks but not by their names."""
        refs = dict.fromkeys((*subject.dependencies, *subject.known_children, *more, *_found(subject, store)))
        unserved = {ref.resource for ref in refs if not store.served(ref.resource)}
        return cls(subject, {ref: found for ref in refs if (found := store.get(ref))}, frozenset(unserved))

    def get(self, ref: ObjectRef | None) -> Object | None:
        return self.objects.get(ref) if ref else None

    def is_own(self, ref: ObjectRef) -> bool:
        obj = self.objects.get(ref)
        return obj is not None and self.subject.owns(ref, obj)

    @cached_property
    def own_children(self) -> list[ObjectRef]:
        """The children that exist, in order of creation; where there are several of a kind, by name."""
        found = sorted((ref for ref in self.objects if ref.resource in CHILD_SUFFIXES and self.is_own(ref)), key=str)
        return [ref for kind in CHILD_SUFFIXES for ref in found if ref.resource == kind]

    @cached_property
    def unseen_children(self) -> dict[ObjectRef, GeneratedResource]:
        """Children elsewhere that could not be read, as the status remembers them: they may still be there."""
        expected = self.subject.placement.children
        return {ref: r for ref, r in self.subject.remembered.items() if ref in self.refused and ref not in expected}

    @cached_property
    def rivals(self) -> list[ObjectRef]:
        """TestTriggers of others on the agent's Deployment, by name, as far as they were read."""
        agent = self.subject.agent
        found = (ref for ref, obj in self.objects.items() if ref.resource == TEST_TRIGGER and fires_for(obj) == agent)
        return sorted((ref for ref in found if not self.is_own(ref)), key=str)

    def with_object(self, ref: ObjectRef, obj: Object | None) -> Snapshot:
        """Return this snapshot after `obj` was written under `ref`, or, for None, deleted."""
        objects = {**self.objects}
        if obj is None:
            objects.pop(ref, None)
        else:
            objects[ref] = obj
        return replace(self, objects=objects)


def fires_for(trigger: Object) -> ObjectRef | None:
    """Name the agent on whose Deployment a TestTrigger waits: the two share a name. None for any other trigger."""
    selector = trigger.get("spec", {}).get("resourceSelector") or {}
    name, namespace = selector.get("name"), selector.get("namespace")
    return ObjectRef(AGENT, namespace, name) if name and namespace else None


def _found(subject: Subject, store: Store) -> Iterator[ObjectRef]:
    """Find what a plan cannot name: gateways where the spec names none, a trigger that Forbid would starve."""
    if ANY_GATEWAY in subject.dependencies:
        yield from (ref_of(AI_GATEWAY, gateway) for gateway in store.objects(AI_GATEWAY))
    if subject.spec and subject.spec.forbids_concurrency:
        triggers = {ref_of(TEST_TRIGGER, t): t for t in store.of(TEST_TRIGGER, fires_for, subject.agent)}
        yield from sorted((ref for ref, t in triggers.items() if not subject.owns(ref, t)), key=str)[:1]


def sources(options: Options) -> list[Source]:
    """List what has to be watched so that every snapshot can be taken from caches.

    Children elsewhere, from before Testkube's namespace was moved, are known by the status of their Experiment.
    """
    own = f"{MANAGED_BY}={MANAGER}"
    children = [Source(resource, options.watched_in, label_selector=own) for resource in CHILD_SUFFIXES]
    return [Source(EXPERIMENT), *children, *dependency_sources(options)]


def name_sources(options: Options) -> list[Source]:
    """List what has to be watched besides `sources` to know which names of children are taken by objects of others."""
    others = f"{MANAGED_BY}!={MANAGER}"
    return [Source(resource, options.generated_in, others, metadata_only=True) for resource in CHILD_SUFFIXES]


def dependency_sources(options: Options) -> list[Source]:
    """List what has to be watched so that the dependencies of every Experiment can be read from caches."""
    return [
        Source(AGENT),
        Source(AI_GATEWAY),
        Source(TEST_WORKFLOW_TEMPLATE, options.generated_in),
        Source(CONFIG_MAP, field_selector=f"metadata.name={OTEL_CONFIG}"),
    ]
