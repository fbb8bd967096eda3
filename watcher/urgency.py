"""How urgent a look is that a change calls for, and whether an open run may have made the change itself."""

from __future__ import annotations

from experiments.contract import Urgency
from experiments.models import parse_status
from experiments.names import CHILD_SUFFIXES, REQUESTED_AT
from experiments.resources import EXPERIMENT
from kube.objects import Object
from kube.reflector import Change


def urgency_of(change: Change) -> Urgency:
    """Tell who waits for what follows from `change`: a person, or nobody in particular."""
    if change.ref is None or change.ref.resource not in (EXPERIMENT, *CHILD_SUFFIXES):
        return Urgency.FOLLOW
    if change.ref.resource != EXPERIMENT:
        return Urgency.REPAIR
    if change.new is None:
        return Urgency.CHANGED
    meta, status = change.new["metadata"], parse_status(change.new)
    honoured = status.last_reconciliation.requested_at if status.last_reconciliation else None
    if (meta.get("annotations") or {}).get(REQUESTED_AT) not in (None, honoured):
        return Urgency.ASKED
    edited = meta.get("generation") != status.observed_generation or "deletionTimestamp" in meta
    return Urgency.CHANGED if edited else Urgency.REPAIR


def is_its_own(change: Change) -> bool:
    """Tell whether a run does such a thing: it writes children, and the Experiment's finalizer."""
    if change.ref is None or change.old is None or change.new is None or change.ref.resource != EXPERIMENT:
        return change.ref is not None and change.ref.resource in CHILD_SUFFIXES
    return _said(change.old) == _said(change.new)


def _said(experiment: Object) -> tuple[object, ...]:
    meta = experiment["metadata"]
    return meta.get("generation"), meta.get("deletionTimestamp"), meta.get("annotations"), experiment.get("status")
