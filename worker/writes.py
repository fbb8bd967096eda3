"""Carries out one action of a plan on the cluster, and says in words what has really come of it.

What the API server answers is compared with what was asked: an admission policy, a default or an older CRD may have
made something else of it. No status, no Events, and no decision what comes next: that is the plan's and the
workflow's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import structlog

from experiments.changes import Verb, in_words
from experiments.drift import Difference, corrections, differences
from experiments.errors import CleanupPending, Immutable, NamespaceMissing, Overruled
from experiments.names import ANNOTATIONS, APPLIED, FINALIZER, LABELS, is_owned_by
from experiments.options import Options
from experiments.plan import RELEASE, REPLACE, Action, Step
from experiments.resources import EXPERIMENT, TEST_WORKFLOW
from experiments.snapshot import Snapshot, Subject
from kube import errors as kube
from kube.client import KubeClient
from kube.objects import Object, ObjectRef
from worker.reader import SnapshotReader

log = structlog.get_logger(__name__)

_VALUE_LIMIT = 120
"""Characters of a value that a sentence quotes."""


class Writer:
    """Appends what has changed to `changes`, in words, also where a call then ends in an error."""

    def __init__(self, client: KubeClient, reader: SnapshotReader, options: Options) -> None:
        self._client, self._reader, self._options = client, reader, options

    async def carry_out(self, snapshot: Snapshot, action: Action, changes: list[str]) -> Snapshot:
        """Carry out `action`. Returns the snapshot as it is afterwards. Raises `Problem` or `KubeError`."""
        ref, manifest, live = action.ref, action.manifest, action.live
        if ref.resource == EXPERIMENT:
            return await self._write_finalizer(snapshot, action, changes)
        if action.step in RELEASE.values():
            return snapshot.with_object(ref, await self._release(ref, live or {}, changes))
        if manifest is None:
            return snapshot.with_object(ref, await self._delete(ref, live, changes))
        if live is None:
            return snapshot.with_object(ref, await self._create_for_trigger(snapshot, ref, manifest, changes))
        if action.step in REPLACE.values():
            return await self._replace(snapshot, action, changes)
        return snapshot.with_object(ref, await self._apply(action, changes))

    async def _create_for_trigger(
        self, snapshot: Snapshot, ref: ObjectRef, manifest: Object, changes: list[str]
    ) -> Object:
        """Create what its trigger may be there for already. Where that is refused, the trigger goes: it has lost it."""
        try:
            return await self._create(ref, manifest, changes)
        except (kube.ForbiddenError, kube.InvalidError):
            if ref.resource == TEST_WORKFLOW:
                await self._delete_trigger(snapshot, changes)
            raise

    async def _create(self, ref: ObjectRef, manifest: Object, changes: list[str], verb: Verb = "create") -> Object:
        try:
            created = await self._client.create(ref.resource, manifest)
        except kube.NotFoundError as error:
            raise NamespaceMissing(str(error)) from error
        changes.append(in_words(verb, ref))
        return await self._corrected(ref, manifest, created)

    async def _apply(self, action: Action, changes: list[str]) -> Object:
        manifest, live = action.manifest or {}, action.live or {}
        try:
            applied = await self._client.apply(action.ref.resource, manifest, live)
        except kube.ImmutableError as error:
            raise Immutable(str(error)) from error
        try:
            written = await self._corrected(action.ref, manifest, applied)
        except Overruled:
            _note_change(action, applied, changes)
            raise
        _note_change(action, written, changes)
        return written

    async def _corrected(self, ref: ObjectRef, manifest: Object, answer: Object) -> Object:
        """Read it once it says what it should. Raises `Overruled` where it does not, although it was told twice.

        An apply takes no field away that somebody else owns by now, and a list may be one to which others add.
        """
        if not (left := differences(manifest, answer)):
            return answer
        corrected = await self._client.json_patch(ref, [*_guard(answer), *corrections(left)])
        if left := differences(manifest, corrected):
            raise Overruled(f"{ref} was not taken as it was sent: {'; '.join(map(_told, left[:3]))}.")
        return corrected

    async def _replace(self, snapshot: Snapshot, action: Action, changes: list[str]) -> Snapshot:
        """Delete and create what nobody may change. A TestWorkflow is not to be missed by its trigger meanwhile."""
        ref = action.ref
        if ref.resource == TEST_WORKFLOW:
            trigger = snapshot.subject.placement.test_trigger
            if going := await self._delete_trigger(snapshot, changes):
                raise CleanupPending(
                    f"{ref} has to be made anew once {trigger} is gone: it waits for {_waits_for(going)}."
                )
            snapshot = snapshot.with_object(trigger, None) if snapshot.is_own(trigger) else snapshot
        if left := await self._delete(ref, action.live, []):
            raise CleanupPending(f"{ref} has to be made anew, and waits for {_waits_for(left)}.")
        return snapshot.with_object(ref, await self._create(ref, action.manifest or {}, changes, "replace"))

    async def _delete_trigger(self, snapshot: Snapshot, changes: list[str]) -> Object | None:
        """Read what is left of a trigger of the Experiment's; None where it has none."""
        trigger = snapshot.subject.placement.test_trigger
        return await self._delete(trigger, snapshot.get(trigger), changes) if snapshot.is_own(trigger) else None

    async def _delete(self, ref: ObjectRef, live: Object | None, changes: list[str]) -> Object | None:
        """Read what is left, which waits for its finalizers."""
        if live is None:
            return None
        meta = live["metadata"]
        try:
            left = await self._client.delete(ref, uid=meta["uid"], resource_version=meta["resourceVersion"])
        except kube.NotFoundError:
            log.info("already gone", object=str(ref))
            return None
        pending = f"asked for the deletion of {ref}, which waits for {_waits_for(left)}" if left else ""
        changes.append(pending or in_words("delete", ref))
        return left

    async def _release(self, ref: ObjectRef, live: Object, changes: list[str]) -> Object:
        meta = live["metadata"]
        owners = [owner for owner in meta.get("ownerReferences", ()) if owner["kind"] != EXPERIMENT.kind]
        patch = {
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "labels": dict.fromkeys(LABELS),
            "annotations": dict.fromkeys(ANNOTATIONS),
            "ownerReferences": owners or None,
        }
        released = await self._client.merge_patch(ref, {"metadata": patch})
        changes.append(f"released {ref}")
        return released

    async def _write_finalizer(self, snapshot: Snapshot, action: Action, changes: list[str]) -> Snapshot:
        subject, wanted = snapshot.subject, action.step == Step.ADD_FINALIZER
        if not wanted and (left := await self._unguarded_children(subject)):
            raise CleanupPending(f"Still there: {', '.join(map(str, left))}.")
        others = [name for name in subject.meta.finalizers if name != FINALIZER]
        finalizers = [*others, FINALIZER] if wanted else others
        patch = {"metadata": {"resourceVersion": subject.meta.resource_version, "finalizers": finalizers}}
        written = await self._client.merge_patch(subject.ref, patch)
        changes.append(f"{'added' if wanted else 'removed'} finalizer {FINALIZER}")
        return replace(snapshot, subject=Subject.of(written, self._options))

    async def _unguarded_children(self, subject: Subject) -> list[ObjectRef]:
        """List what would stay for ever without the finalizer: children that the Experiment does not own itself."""
        return [
            ref
            for ref, child in (await self._reader.labelled_children(subject)).items()
            if subject.owns(ref, child) and not is_owned_by(child, subject.meta.uid)
        ]


def _note_change(action: Action, now: Object, changes: list[str]) -> None:
    """Say that it was changed, if it was, and the fields that are now as they should be."""
    if action.live is None or now["metadata"]["resourceVersion"] == action.live["metadata"]["resourceVersion"]:
        return
    left = {difference.path for difference in differences(action.manifest or {}, now)}
    fields = [each.path for each in action.differences if each.path not in left and APPLIED not in each.path]
    changes.append(in_words("change", action.ref, fields))


def _guard(live: Object) -> list[dict[str, Any]]:
    meta = live["metadata"]
    return [{"op": "test", "path": f"/metadata/{key}", "value": meta[key]} for key in ("uid", "resourceVersion")]


def _told(difference: Difference) -> str:
    if difference.desired is None:
        return f"{difference.path} was to go and is {_quoted(difference.live)}"
    return f"{difference.path} was to be {_quoted(difference.desired)} and is {_quoted(difference.live)}"


def _quoted(value: Any) -> str:
    text = "missing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_LIMIT else f"{text[:_VALUE_LIMIT]}…"


def _waits_for(obj: Object) -> str:
    return ", ".join(obj["metadata"].get("finalizers") or ["its end"])
