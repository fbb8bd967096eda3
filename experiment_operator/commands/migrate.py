"""`experiment-operator migrate-from-go-operator`: hands the children of the earlier Go operator over to this service.

It only marks them: labels, annotation and ownership of fields, one patch for each object. From then on the service sees
them as its own and does the rest in its usual runs: it changes in place what has the right name, and deletes the others
once the new ones are there. So this can be killed, repeated, and run before the service starts or beside it.

An object is the Go operator's only if both its name and its owner say so. Two generations of that operator are known,
read from its sources; the names below are theirs.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from experiment_operator.settings import Migrate
from experiments.names import (
    APPLIED,
    CHILD_SUFFIXES,
    EXPERIMENT_ANNOTATION,
    MANAGED_BY,
    MANAGER,
    OBJECT_ANNOTATION,
    UID_LABEL,
)
from experiments.options import Options
from experiments.resources import EXPERIMENT, GROUP
from experiments.snapshot import Subject
from kube.client import KubeClient
from kube.errors import ConflictError, NotFoundError
from kube.objects import CONFIG_MAP, DEPLOYMENT, FIELD_MANAGER, LEASE, Object, ObjectRef, ref_of

_IMAGE = re.compile(r"(.*/)?testbench/operator([:@].*)?")
_LEASE = "5612223f.agentic-layer.ai"
_FIELD_MANAGER = "manager"
# The second generation generates here, whatever Testkube's namespace is, and hangs everything on one ConfigMap.
_NAMESPACE = "testkube"
_ANCHOR = "-anchor"

_ATTEMPTS = 5


class MoveVerb(StrEnum):
    ADOPT = "adopt"
    REPLACE = "replace"
    DELETE = "delete"
    WAIT = "wait"
    LEAVE = "leave"


_TO_MARK = {MoveVerb.ADOPT, MoveVerb.REPLACE, MoveVerb.DELETE}


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of one object, and why."""

    verb: MoveVerb
    ref: ObjectRef
    why: str

    def __str__(self) -> str:
        return f"  {self.verb:<8} {self.ref}: {self.why}"


def migrate(chosen: Migrate) -> int:
    return asyncio.run(take_over(chosen))


async def take_over(chosen: Migrate) -> int:
    """Take over, and print how. Returns the exit code: 0, or 1 while the Go operator still runs. Raises `KubeError`."""
    async with await KubeClient.connect(chosen.kubeconfig, role="migrate-from-go-operator") as kube:
        if not chosen.ignore_go_operator and (running := [words async for words in _running_instances(kube)]):
            print("\n".join(running), file=sys.stderr)
            if not chosen.dry_run:
                print("Nothing was changed: the Go operator would undo it.", file=sys.stderr)
                return 1
        verbs: set[MoveVerb] = set()
        for obj in await kube.list(EXPERIMENT):
            subject = Subject.of(obj, Options(chosen.testkube_namespace))
            if moves := [move async for move in _Takeover(kube, subject).moves(chosen.dry_run)]:
                print("\n".join([str(subject.ref), *_remarks(subject), *map(str, moves)]))
            verbs |= {move.verb for move in moves}
    print(_summary(verbs, dry_run=chosen.dry_run))
    return 0


async def _running_instances(kube: KubeClient) -> AsyncIterator[str]:
    """Name Deployments of the Go operator that have, or are to have, a pod, and its Lease while somebody renews it."""
    for deployment in await kube.list(DEPLOYMENT):
        containers = deployment["spec"]["template"]["spec"]["containers"]
        count = max(deployment["spec"].get("replicas", 1), deployment.get("status", {}).get("replicas", 0))
        if count and any(_IMAGE.fullmatch(container.get("image", "")) for container in containers):
            ref = ref_of(DEPLOYMENT, deployment)
            command = f"kubectl scale -n {ref.namespace} deployment/{ref.name} --replicas=0"
            yield f"The Go operator runs: {ref} has {count} replica(s). Stop it: {command}"
    for lease in await kube.list(LEASE, field_selector=f"metadata.name={_LEASE}"):
        spec = lease.get("spec", {})
        if spec.get("holderIdentity") and (renewed := spec.get("renewTime")):
            until = datetime.fromisoformat(renewed) + timedelta(seconds=spec.get("leaseDurationSeconds", 0))
            if until > datetime.now(UTC):
                words = f"{spec['holderIdentity']} holds {ref_of(LEASE, lease)} until {until:%H:%M:%S} UTC"
                yield f"The Go operator runs, or has just ended: {words}. Try again after that."


class _Takeover:
    """Of what was made for one Experiment."""

    def __init__(self, kube: KubeClient, subject: Subject) -> None:
        self._kube, self._subject, self._meta = kube, subject, subject.meta

    async def moves(self, dry_run: bool) -> AsyncIterator[Move]:
        """Yield each move, once it is done, and what there is to know; triggers first: none outlives its workflow."""
        # Those of the first generation are beside the Experiment.
        candidates = {**_refs(self._meta.namespace, self._meta.name, self._meta.uid), **await self._anchored()}
        for ref, owner in candidates.items():
            if move := await self._take_over(ref, owner, dry_run):
                yield move
        for ref in self._subject.remembered_children:
            if ref not in candidates and (move := await self._unproved(ref)):
                yield move

    async def _anchored(self) -> dict[ObjectRef, str]:
        """Find children of the second generation, with the uid of their owner. The anchor itself has only labels."""
        name, namespace = self._meta.name, self._meta.namespace
        anchor = ObjectRef(CONFIG_MAP, _NAMESPACE, f"{name}-{namespace}{_ANCHOR}")
        found = await self._kube.find(anchor)
        wanted = {"managed-by": "experiment-controller", "resource-type": "anchor"}
        wanted |= {"experiment-name": name, "experiment-namespace": namespace}
        labels = found["metadata"].get("labels", {}) if found else {}
        if found is None or any(labels.get(f"{GROUP}/{key}") != value for key, value in wanted.items()):
            return {}
        uid = found["metadata"]["uid"]
        return {**_refs(_NAMESPACE, f"{name}-{namespace}", uid), anchor: uid}

    async def _take_over(self, ref: ObjectRef, owner: str, dry_run: bool) -> Move | None:
        for _ in range(_ATTEMPTS):
            live = await self._kube.find(ref)
            move = self._judge(ref, live, owner) if live else None
            if live is None or move is None or move.verb not in _TO_MARK or dry_run:
                return move
            try:
                await self._kube.merge_patch(ref, _patch(self._subject, live))
            except NotFoundError:
                return None
            except ConflictError:
                continue
            return move
        raise ConflictError(f"{ref} changes all the time: somebody writes to it at the same time")

    def _judge(self, ref: ObjectRef, live: Object, owner: str) -> Move | None:
        subject = self._subject
        marked = _is_marked(live, subject)
        if not marked and not (live["metadata"]["uid"] == owner or _is_controlled_by(live, owner)):
            return Move(MoveVerb.LEAVE, ref, "the Go operator did not make it for this Experiment")
        successor = _successor(subject, ref)
        if marked and _old_entry(live) is None:
            if ref == successor:
                return None
            return Move(MoveVerb.WAIT, ref, "marked; the service takes it away once nothing is in the Experiment's way")
        if ref == successor:
            return Move(MoveVerb.ADOPT, ref, "it has the name that this service gives; changed in place")
        if successor is None:
            return Move(MoveVerb.DELETE, ref, "this service makes nothing of the kind here")
        return Move(MoveVerb.REPLACE, ref, f"{successor} is made, then this one is deleted")

    async def _unproved(self, ref: ObjectRef) -> Move | None:
        live = await self._kube.find(ref)
        if live is None or self._subject.owns(ref, live):
            return None
        why = "the status names it, but nothing proves whose it is; if it is of no use any more, delete it"
        return Move(MoveVerb.LEAVE, ref, why)


def _refs(namespace: str, stem: str, owner: str) -> dict[ObjectRef, str]:
    kinds = reversed(CHILD_SUFFIXES.items())
    return {ObjectRef(resource, namespace, f"{stem}{suffix}"): owner for resource, suffix in kinds}


def _is_marked(live: Object, subject: Subject) -> bool:
    """Tell whether it has all marks of a child of this very Experiment."""
    meta = live["metadata"]
    return all(marks.items() <= meta.get(key, {}).items() for key, marks in _marks(subject, live).items())


def _is_controlled_by(live: Object, uid: str) -> bool:
    return any(o["uid"] == uid and o.get("controller") for o in live["metadata"].get("ownerReferences", ()))


def _successor(subject: Subject, ref: ObjectRef) -> ObjectRef | None:
    """Name the child that this service has in place of one of the Go operator's; it makes no anchor."""
    placed = next(child for child in subject.placement.children if child.resource == ref.resource)
    wants_trigger = subject.spec is None or subject.spec.wants_trigger
    unwanted = placed == subject.placement.test_trigger and not wants_trigger
    return None if unwanted or ref.name.endswith(_ANCHOR) else placed


def _marks(subject: Subject, live: Object) -> dict[str, dict[str, Any]]:
    meta, itself = subject.meta, live["metadata"]
    return {
        "labels": {MANAGED_BY: MANAGER, UID_LABEL: meta.uid},
        "annotations": {
            EXPERIMENT_ANNOTATION: f"{meta.namespace}/{meta.name}",
            OBJECT_ANNOTATION: f"{itself['namespace']}/{itself['name']}",
        },
    }


def _patch(subject: Subject, live: Object) -> Object:
    """Make `live`, if it is still the object that was read, a child of this service.

    Fields that the Go operator wrote become this service's own, so that its next apply removes what it does not want:
    what another manager owns, an apply leaves. Without the digest there is such an apply also where one was before.
    """
    meta, marks = live["metadata"], _marks(subject, live)
    marks["annotations"][APPLIED] = None
    guard = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    return {"metadata": {**guard, **marks, "managedFields": _handed_over(live)}}


def _old_entry(live: Object) -> dict[str, Any] | None:
    """Find what the Go operator wrote. Others write as `manager`, too, such as Testkube's, but no spec or data."""
    entries: list[dict[str, Any]] = live["metadata"].get("managedFields", [])
    written = (each for each in entries if {"f:spec", "f:data"} & each.get("fieldsV1", {}).keys())
    return next((each for each in written if each["manager"] == _FIELD_MANAGER), None)


def _handed_over(live: Object) -> list[dict[str, Any]]:
    """Return the managedFields of `live` once what the Go operator wrote is this service's."""
    entries: list[dict[str, Any]] = live["metadata"].get("managedFields", [])
    old = _old_entry(live)
    if old is None:
        return entries
    ours = {entry["operation"]: entry for entry in entries if entry["manager"] == FIELD_MANAGER}
    heir = ours.get("Apply") or ours.get("Update") or {**old, "manager": FIELD_MANAGER}
    others = [entry for entry in entries if entry is not old and entry is not heir]
    return [*others, {**heir, "fieldsV1": _union(heir["fieldsV1"], old["fieldsV1"])}]


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {key: _union(one.get(key, {}), other.get(key, {})) for key in {**one, **other}}


def _remarks(subject: Subject) -> Iterator[str]:
    if subject.spec is None:
        yield f"  not before it is corrected: {'; '.join(subject.errors)}"
    elif subject.spec.suspend:
        yield "  not before spec.suspend is false"


def _summary(verbs: set[MoveVerb], *, dry_run: bool) -> str:
    if verbs & _TO_MARK:
        return "Nothing was changed." if dry_run else "Marked; the service does the rest as soon as it runs."
    return "The service is not done yet." if MoveVerb.WAIT in verbs else "Nothing to do."
