"""How this project names things in Kubernetes: resources, references to objects, and what to watch.

Plain values without I/O, shared by the plan (which is keyed by them) and by all of `kube/` (which turns them into
URLs). Kinds that only Experiments have to do with are in `experiments/resources.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

# A Kubernetes object as the API server sends it: JSON. Typed objects cost ten times as much and add nothing here.
Object: TypeAlias = dict[str, Any]

FIELD_MANAGER = "experiment-operator"
"""Under which everything is written, and by which its own writes are told from others'."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind the API server serves. An object of one that is not namespaced has the namespace `""`."""

    api_version: str
    kind: str
    plural: str

    def __str__(self) -> str:
        return self.kind


CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
EVENT = Resource("v1", "Event", "events")
NAMESPACE = Resource("v1", "Namespace", "namespaces")
SECRET = Resource("v1", "Secret", "secrets")
CRD = Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions")
DEPLOYMENT = Resource("apps/v1", "Deployment", "deployments")
TOKEN_REVIEW = Resource("authentication.k8s.io/v1", "TokenReview", "tokenreviews")
ACCESS_REVIEW = Resource("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews")
LEASE = Resource("coordination.k8s.io/v1", "Lease", "leases")
VALIDATING_WEBHOOK_CONFIGURATION = Resource(
    "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"
)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object by name, whether or not it exists."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """What one list-and-watch covers. An empty namespace means all of them; selectors as the API takes them.

    With `metadata_only` the objects have nothing else, which is enough to know that they exist and whose they are.
    """

    resource: Resource
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    metadata_only: bool = False

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        which = ", ".join(filter(None, (self.label_selector, self.field_selector)))
        return f"{self.resource.plural}{where}{f' ({which})' if which else ''}"


def ref_of(resource: Resource, obj: Object) -> ObjectRef:
    """Return the reference under which `obj`, an object of `resource`, is known."""
    meta = obj["metadata"]
    return ObjectRef(resource, meta.get("namespace", ""), meta["name"])
