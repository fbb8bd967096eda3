"""Why a reconciliation is needed, in words a person finds again in the Temporal UI and in the history."""

from __future__ import annotations

import re

from experiments.conditions import ConditionType
from experiments.drift import editor, is_outdated
from experiments.plan import Action, Plan, Step
from experiments.snapshot import Snapshot


def reasons(plan: Plan) -> list[str]:
    """List why a plan is needed, at least one like `generation 3` or `TestTrigger deleted`; empty where it is not."""
    if not plan.needed:
        return []
    subject = plan.snapshot.subject
    if subject.being_deleted:
        return ["deleted"]
    found = ["requested"] if plan.report and plan.report.is_requested(subject.status) else []
    if subject.meta.generation != subject.status.observed_generation:
        return [f"generation {subject.meta.generation}", *found]
    if plan.report and plan.report.agent_url != subject.status.agent_url:
        found.append("agent URL changed")
    found += [why for action in plan.actions if (why := _of(action, plan.snapshot, found))]
    return list(dict.fromkeys(found)) or _news(plan)


def kind_of(found: list[str]) -> str:
    """Name the sort of reason that the first of these is: one of a few words, to be counted by."""
    return next((kind for kind, pattern in _KINDS.items() if found and pattern.fullmatch(found[0])), "other")


_KINDS = {
    "generation": re.compile(r"generation \d+"),
    "deleted": re.compile("deleted"),
    "gone": re.compile("the Experiment is gone.*"),
    "requested": re.compile("requested(: .*)?", re.DOTALL),
    "agent_url": re.compile("agent URL changed"),
    "finalizer": re.compile("finalizer .*"),
    "status": re.compile(r"status out of date|\w+ is \w+"),
    "child_edited": re.compile(r"\w+ edited by .*", re.DOTALL),
    "child_deleted": re.compile(r"\w+ deleted"),
    "child_missing": re.compile(r"\w+ missing"),
    "child_not_wanted": re.compile(r"\w+ not wanted"),
    "child_out_of_date": re.compile(r"\w+ out of date"),
}


def _of(action: Action, snapshot: Snapshot, known: list[str]) -> str | None:
    kind = action.ref.resource.kind
    if action.step == Step.ADD_FINALIZER:
        return "finalizer missing"
    if action.manifest is None:
        return f"{kind} not wanted"
    if action.live is None:
        remembered = action.ref in snapshot.subject.remembered_children
        return f"{kind} deleted" if remembered else f"{kind} missing"
    if not is_outdated(action.differences):
        return f"{kind} edited by {editor(action.live) or 'somebody'}"
    return None if "agent URL changed" in known else f"{kind} out of date"


def _news(plan: Plan) -> list[str]:
    """List what the status does not say yet: the conditions whose reason is new."""
    said = {(c.type, c.reason) for c in plan.snapshot.subject.status.conditions}
    conditions = plan.report.conditions if plan.report else ()
    told = (c for c in conditions if c.type not in {ConditionType.RECONCILING, ConditionType.STALLED})
    return [f"{c.type} is {c.reason}" for c in told if (c.type, c.reason) not in said] or ["status out of date"]
