"""Reads the snapshot of one Experiment for the worker, with as few calls as that can be done rightly.

What it depends on comes from caches, unless whoever started the run has seen more than those hold; the Experiment and
its children do, too, where this process caches them. All that is written is guarded by the versions that were read, and
who finds the guard broken reads again, then all of it from the API server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from experiments.contract import SnapshotRequest, Target
from experiments.errors import Forbidden, Problem
from experiments.names import CHILD_SUFFIXES, FINALIZER, UID_LABEL
from experiments.options import Options
from experiments.resources import AI_GATEWAY, EXPERIMENT
from experiments.snapshot import ANY_GATEWAY, Snapshot, Subject
from kube import errors as kube
from kube.caches import Caches
from kube.client import KubeClient
from kube.objects import Object, ObjectRef, Resource, ref_of


class SnapshotReader:
    def __init__(self, client: KubeClient, caches: Caches, options: Options) -> None:
        self._client, self._caches, self._options = client, caches, options

    async def read(self, request: SnapshotRequest) -> Snapshot | None:
        """Read it all; None when this very Experiment does not exist any more, whatever may have taken its name."""
        target = request.target
        try:
            obj = await self._get(ObjectRef(EXPERIMENT, target.namespace, target.name), request)
        except kube.NotServedError:
            return None
        except kube.NotFoundError:
            return await self._left_behind(target)
        subject = Subject.of(obj, self._options)
        if subject.meta.uid != target.uid:
            return None
        subject = replace(subject, orphaning=request.orphan)
        gateways = self._caches.objects(AI_GATEWAY) if ANY_GATEWAY in subject.dependencies else ()
        seen = _seen(request, (AI_GATEWAY,))
        refs = dict.fromkeys((*subject.dependencies, *(ref_of(AI_GATEWAY, each) for each in gateways), *seen))
        found = {ref: await self._dependency(ref, request.seen.get(str(ref))) for ref in refs}
        objects = {ref: obj for ref, obj in found.items() if obj}
        unserved = frozenset(ref.resource for ref in subject.dependencies if not self._caches.served(ref.resource))
        snapshot = Snapshot(subject, objects, unserved)
        children = tuple(ref for ref in _seen(request, CHILD_SUFFIXES) if ref not in subject.dependencies)
        if _is_new(subject, request, children):
            return snapshot
        return await self._with_children(snapshot, children, request)

    async def _left_behind(self, target: Target) -> Snapshot | None:
        """Read what is left of an Experiment that went without its finalizer; None where there is nothing."""
        subject = Subject.of_gone(target.namespace, target.name, target.uid, self._options)
        found = await self.labelled_children(subject)
        snapshot = Snapshot(subject, found)
        return snapshot if snapshot.own_children else None

    async def labelled_children(self, subject: Subject) -> dict[ObjectRef, Object]:
        """List all that carry the Experiment's uid, wherever this service looks for children."""
        found: dict[ObjectRef, Object] = {}
        for resource in CHILD_SUFFIXES:
            try:
                own = f"{UID_LABEL}={subject.meta.uid}"
                listed = await self._client.list(resource, namespace=self._options.watched_in, label_selector=own)
            except kube.NotServedError:
                continue
            found |= {ref_of(resource, child): child for child in listed}
        return found

    async def _dependency(self, ref: ObjectRef, seen: str | None) -> Object | None:
        """Read it from the cache, unless that is behind.

        `seen` is the resourceVersion that the run was started upon, empty for none, None where nobody looked.
        """
        cached = self._caches.get(ref)
        if seen is None or _is_recent(cached, seen):
            return cached
        return await self._client.find(ref)

    async def _get(self, ref: ObjectRef, request: SnapshotRequest) -> Object:
        """Read it from the cache, if whoever started the run has seen it as it is there, else from the API server."""
        if not request.certain and str(ref) in request.seen:
            cached = self._caches.get(ref)
            if cached is not None and _is_recent(cached, request.seen[str(ref)]):
                return cached
        return await self._client.get(ref)

    async def _with_children(self, snapshot: Snapshot, more: Iterable[ObjectRef], request: SnapshotRequest) -> Snapshot:
        subject = snapshot.subject
        objects: dict[ObjectRef, Object] = {}
        refused: dict[ObjectRef, Problem] = {}
        unserved: set[Resource] = set()
        for ref in dict.fromkeys((*subject.known_children, *more)):
            try:
                objects[ref] = await self._get(ref, request)
            except kube.NotFoundError:
                continue
            except kube.NotServedError:
                unserved.add(ref.resource)
            except kube.ForbiddenError as error:
                refused[ref] = Forbidden(str(error))
        if FINALIZER in subject.meta.finalizers and subject.being_deleted:
            try:
                objects |= await self.labelled_children(subject)
            except kube.ForbiddenError as error:
                refused[subject.ref] = Forbidden(str(error))
        return Snapshot(subject, {**snapshot.objects, **objects}, snapshot.unserved | unserved, refused)


def _is_recent(cached: Object | None, seen: str) -> bool:
    version = cached["metadata"]["resourceVersion"] if cached else ""
    return seen == version or (bool(seen and version) and int(version) > int(seen))


def _seen(request: SnapshotRequest, resources: Iterable[Resource]) -> Iterator[ObjectRef]:
    """Name those of these kinds that whoever started the run has seen: the watcher finds some by labels or content."""
    by_kind = {resource.kind: resource for resource in resources}
    for seen in request.seen:
        kind, _, where = seen.partition(" ")
        namespace, _, name = where.partition("/")
        if kind in by_kind:
            yield ObjectRef(by_kind[kind], namespace, name)


def _is_new(subject: Subject, request: SnapshotRequest, children: tuple[ObjectRef, ...]) -> bool:
    """Tell whether nothing can have been made for it yet. If that is wrong, a create finds the name taken."""
    untouched = subject.status.observed_generation is None and FINALIZER not in subject.meta.finalizers
    return untouched and not request.certain and not children and not subject.remembered_children
