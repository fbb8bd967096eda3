"""Where the children of an Experiment live, what they are called, and how to tell whose child an object is.

Every key that this service writes on an object, or reads there, is one of these.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from experiments.options import Options
from experiments.resources import GROUP, TEST_TRIGGER, TEST_WORKFLOW
from kube.objects import CONFIG_MAP, FIELD_MANAGER, Object, ObjectRef, Resource

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = FIELD_MANAGER
UID_LABEL = f"{GROUP}/experiment-uid"
# A name has up to 253 characters and a label value 63, so the way back to the Experiment is an annotation.
EXPERIMENT_ANNOTATION = f"{GROUP}/experiment"
OBJECT_ANNOTATION = f"{GROUP}/object"
"""Namespace and name of the very object that carries it. In a copy, which brings all marks along, it is not true."""
FINALIZER = f"{GROUP}/cleanup"
REQUESTED_AT = f"{GROUP}/requested-at"
EXECUTE_AT = f"{GROUP}/execute-at"
"""Annotation of an Experiment that asks for one execution; its value, whatever it is, is honoured once."""
APPLIED = f"{GROUP}/applied"
"""Annotation with a digest of what was applied. It tells a child that is out of date from one that was edited."""

# In the order in which they are created; deleted the other way round. Testkube drops other triggers of an event when
# the workflow of one is missing: the workflow comes before its trigger, and goes after it.
CHILD_SUFFIXES: dict[Resource, str] = {
    CONFIG_MAP: "-experiment",
    TEST_WORKFLOW: "-workflow",
    TEST_TRIGGER: "-trigger",
}
CHILD_KINDS = {resource.kind: resource for resource in CHILD_SUFFIXES}
_MAX_NAME = 253
_HASH_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Placement:
    """The children's places. `owned` says that the Experiment itself can own them: they share a namespace."""

    config_map: ObjectRef
    test_workflow: ObjectRef
    test_trigger: ObjectRef
    owned: bool

    @property
    def namespace(self) -> str:
        return self.config_map.namespace

    @property
    def children(self) -> tuple[ObjectRef, ObjectRef, ObjectRef]:
        return self.config_map, self.test_workflow, self.test_trigger


def placement(namespace: str, name: str, options: Options) -> Placement:
    target = options.testkube_namespace_for(namespace)
    owned = target == namespace
    config_map, workflow, trigger = (
        ObjectRef(resource, target, _child_name(namespace, name, suffix, owned=owned))
        for resource, suffix in CHILD_SUFFIXES.items()
    )
    return Placement(config_map, workflow, trigger, owned)


def _child_name(namespace: str, name: str, suffix: str, *, owned: bool) -> str:
    """Name it `<name><suffix>` beside the Experiment, `<name><suffix>.<namespace>` elsewhere: a namespace has no dots.

    The first kind always ends in the suffix, so the second must not: a namespace that does gets a hash behind it, as
    does what is too long. `.x.` keeps that from reading as either kind: what is before the last dot ends in no suffix.
    """
    full = f"{name}{suffix}" if owned else f"{name}{suffix}.{namespace}"
    if len(full) <= _MAX_NAME and (owned or not namespace.endswith(suffix)):
        return full
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:_HASH_LENGTH]
    tail = f".x.{digest}"
    return full[: _MAX_NAME - len(tail)].rstrip("-.") + tail


def belongs_to(child: Object, namespace: str, name: str, uid: str, *, expected: bool) -> bool:
    """Tell whether this service made `child` for that Experiment, or for an earlier one of its name.

    Each of three traces is enough, so that a child of which somebody removed one is repaired rather than disowned. But
    copies have them, too: the object has to be the one that they were written for or, where they do not say, to be
    `expected` under its name.
    """
    meta = child["metadata"]
    made_for_it = (
        (meta.get("annotations") or {}).get(EXPERIMENT_ANNOTATION) == f"{namespace}/{name}"
        or (meta.get("labels") or {}).get(UID_LABEL) == uid
        or is_owned_by(child, uid)
    )
    return made_for_it and is_original(child, expected=expected)


def is_owned_by(child: Object, uid: str) -> bool:
    """Tell whether the garbage collector takes it once the owner of that uid is gone."""
    return any(owner["uid"] == uid for owner in child["metadata"].get("ownerReferences") or ())


def is_original(child: Object, *, expected: bool = False) -> bool:
    """Tell whether marks were written for this very object; `expected` is the answer where they do not say."""
    meta = child["metadata"]
    marked = (meta.get("annotations") or {}).get(OBJECT_ANNOTATION)
    return expected if marked is None else marked == f"{meta.get('namespace', '')}/{meta['name']}"


LABELS = (MANAGED_BY, UID_LABEL)
ANNOTATIONS = (EXPERIMENT_ANNOTATION, OBJECT_ANNOTATION, APPLIED)


def is_marked(child: Object) -> bool:
    """Tell whether this service has written a label or annotation on it that is still there."""
    meta = child["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    return labels.get(MANAGED_BY) == MANAGER or UID_LABEL in labels or any(key in annotations for key in ANNOTATIONS)


def experiment_of(child: Object) -> tuple[str, str] | None:
    """Return namespace and name of the Experiment that a child was made for, or None where nothing says so."""
    meta = child["metadata"]
    namespace, _, name = meta.get("annotations", {}).get(EXPERIMENT_ANNOTATION, "").partition("/")
    if name:
        return namespace, name
    owners = (o["name"] for o in meta.get("ownerReferences", ()) if o["kind"] == "Experiment")
    return next(((meta["namespace"], owner) for owner in owners), None)
