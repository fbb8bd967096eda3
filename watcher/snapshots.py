"""Snapshots from the watcher's caches, and which Experiments a changed object concerns.

Each Experiment is filed under every object that its plan would read, whether that object exists or not, so that a
change finds its Experiments without looking at all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from experiments.names import CHILD_SUFFIXES, UID_LABEL, experiment_of, is_original, is_owned_by
from experiments.options import Options
from experiments.resources import AI_GATEWAY, EXPERIMENT, TEST_TRIGGER
from experiments.snapshot import ANY_GATEWAY, Snapshot, Subject, fires_for
from kube.caches import Caches
from kube.objects import Object, ObjectRef, ref_of
from kube.reflector import Change

K = TypeVar("K", bound=Hashable)


class Snapshots:
    def __init__(self, caches: Caches, options: Options) -> None:
        self._caches, self._options = caches, options
        self._reads: dict[ObjectRef, tuple[ObjectRef, ...]] = {}
        self._readers: defaultdict[ObjectRef, set[ObjectRef]] = defaultdict(set)
        # Experiments whose trigger would starve others on the same Deployment.
        self._forbidding: set[ObjectRef] = set()
        # Experiments whose deletion keeps the children, by uid. The garbage collector takes the sign of it away at
        # once.
        self._orphaning: set[str] = set()
        self._made_for: defaultdict[ObjectRef, set[ObjectRef]] = defaultdict(set)
        # Children by the uid they are labelled with, wherever they are: also where they should not be any more.
        self._children: defaultdict[str, set[ObjectRef]] = defaultdict(set)

    def concerned(self, change: Change) -> Iterable[ObjectRef]:
        """Take `change` into the index, and return the Experiments to look at."""
        if change.ref is None:
            return {*(ref_of(EXPERIMENT, obj) for obj in self._caches.objects(EXPERIMENT)), *self._made_for}
        if change.ref.resource == EXPERIMENT:
            if change.old is None or change.new is None or _read_for(change.old) != _read_for(change.new):
                self._file(change.ref, change.new)
            if change.new is None and change.old is not None:
                self._orphaning.discard(change.old["metadata"]["uid"])
            return [change.ref]
        found = set(self._readers.get(change.ref, ()))
        if change.ref.resource == AI_GATEWAY:
            found |= self._readers.get(ANY_GATEWAY, set())
        if change.ref.resource == TEST_TRIGGER:
            agents = (fires_for(trigger) for trigger in (change.old, change.new) if trigger)
            found |= {each for agent in agents if agent for each in self._forbidding & self._readers.get(agent, set())}
        if change.ref.resource in CHILD_SUFFIXES:
            found |= self._file_child(change.ref, change)
        return found

    def _file_child(self, ref: ObjectRef, change: Change) -> set[ObjectRef]:
        """Take a child into the index, and return the Experiments that it says it was made for."""
        found: set[ObjectRef] = set()
        for child, known in ((change.old, False), (change.new, True)):
            if child is None:
                continue
            self._label(ref, child, known=known)
            if owner := experiment_of(child):
                found.add(experiment := ObjectRef(EXPERIMENT, *owner))
                _file_under(self._made_for, experiment, ref, known=known)
        return found

    def take(self, ref: ObjectRef) -> Snapshot | None:
        """Take a snapshot from the caches; None where there is no such Experiment."""
        obj = self._caches.get(ref)
        if obj is None:
            return None
        subject = Subject.of(obj, self._options)
        subject = replace(subject, orphaning=subject.meta.uid in self._orphaning)
        return Snapshot.take(subject, self._caches, self._children.get(subject.meta.uid, ()))

    def versions(self, snapshot: Snapshot) -> dict[str, str]:
        """List what the worker has to have seen: dependencies, also where they are missing, and all that was found."""
        subject = snapshot.subject
        refs = dict.fromkeys((*subject.dependencies, *snapshot.objects))
        found = {ref: snapshot.get(ref) for ref in refs} | {subject.ref: subject.obj}
        return {str(ref): obj["metadata"]["resourceVersion"] if obj else "" for ref, obj in found.items()}

    def _file(self, experiment: ObjectRef, obj: Object | None) -> None:
        self._forbidding.discard(experiment)
        if obj is not None and "orphan" in obj["metadata"].get("finalizers", ()):
            self._orphaning.add(obj["metadata"]["uid"])
        for ref in self._reads.pop(experiment, ()):
            self._readers[ref].discard(experiment)
            if not self._readers[ref]:
                del self._readers[ref]
        if obj is None:
            return
        subject = Subject.of(obj, self._options)
        if subject.spec and subject.spec.forbids_concurrency:
            self._forbidding.add(experiment)
        self._reads[experiment] = (*subject.dependencies, *subject.known_children)
        for ref in self._reads[experiment]:
            self._readers[ref].add(experiment)

    def left_behind(self, ref: ObjectRef) -> dict[str, ObjectRef]:
        """Return the uids of Experiments of this name of which nothing is left but children, with one of these each.

        Not those that an Experiment owns: the garbage collector takes them.
        """
        found: dict[str, ObjectRef] = {}
        for child_ref in self._made_for.get(ref, ()):
            child = self._caches.get(child_ref)
            uid = (child["metadata"].get("labels") or {}).get(UID_LABEL) if child and is_original(child) else None
            if child and uid and not is_owned_by(child, uid):
                found[uid] = child_ref
        return found

    def _label(self, ref: ObjectRef, child: Object, *, known: bool) -> None:
        if uid := child["metadata"].get("labels", {}).get(UID_LABEL):
            _file_under(self._children, uid, ref, known=known)


def _read_for(experiment: Object) -> tuple[object, ...]:
    """Name all of an Experiment by which it is filed."""
    meta, status = experiment["metadata"], experiment.get("status") or {}
    return meta["uid"], meta.get("generation"), meta.get("finalizers"), status.get("generatedResources")


def _file_under(index: defaultdict[K, set[ObjectRef]], key: K, ref: ObjectRef, *, known: bool) -> None:
    if known:
        index[key].add(ref)
    else:
        index[key].discard(ref)
        if not index[key]:
            del index[key]
