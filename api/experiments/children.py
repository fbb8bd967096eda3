"""The generated objects of one Experiment as they are in the cluster, each compared with what the plan wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from experiments.drift import is_outdated
from experiments.models import Part
from experiments.names import CHILD_KINDS
from experiments.plan import Action, Plan
from kube.objects import Object, ObjectRef, ref_of

ChildState = Literal["asPlanned", "missing", "edited", "outdated", "unwanted", "terminating", "foreign", "unchecked"]


class Child(Part):
    """`uid` and what follows are null while there is no such object.

    `missing` is wanted and not there; `edited` differs at `paths` because somebody changed it, `outdated` because the
    wish has changed; `unwanted` is to be deleted, `terminating` is being deleted, `foreign` was made by somebody else.
    `unchecked` exists and is compared with nothing: the Experiment is suspended or being deleted, or a problem has to
    be solved first.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    state: ChildState
    paths: list[str]
    uid: str | None
    resource_version: str | None
    deletion_timestamp: datetime | None


def children(made: Plan) -> Iterator[Child]:
    """Compare those that exist, and those that there should be."""
    wanted = set(_wanted(made))
    actions = {action.ref: action for action in made.actions}
    for ref in made.snapshot.subject.known_children:
        live, action = made.snapshot.get(ref), actions.get(ref)
        if live is None and ref not in wanted:
            continue
        meta = live["metadata"] if live else {}
        yield Child(
            api_version=ref.resource.api_version,
            kind=ref.resource.kind,
            namespace=ref.namespace,
            name=ref.name,
            state=_state(made, ref, live, action),
            paths=[each.path for each in action.differences] if action else [],
            uid=meta.get("uid"),
            resource_version=meta.get("resourceVersion"),
            deletion_timestamp=meta.get("deletionTimestamp"),
        )


def _wanted(made: Plan) -> Iterable[ObjectRef]:
    subject = made.snapshot.subject
    if subject.being_deleted or subject.spec is None:
        return ()
    places = subject.placement
    return places.children if subject.spec.wants_trigger else (places.config_map, places.test_workflow)


def _state(made: Plan, ref: ObjectRef, live: Object | None, action: Action | None) -> ChildState:
    if live is None:
        return "missing"
    if not made.snapshot.is_own(ref):
        return "foreign"
    if "deletionTimestamp" in live["metadata"]:
        return "terminating"
    if action is None:
        return "asPlanned" if ref in _generated(made) else "unchecked"
    if action.manifest is None:
        return "unwanted"
    return "outdated" if is_outdated(action.differences) else "edited"


def _generated(made: Plan) -> set[ObjectRef]:
    return {ref_of(CHILD_KINDS[manifest["kind"]], manifest) for manifest in made.manifests}
