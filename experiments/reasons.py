"""Why a reconciliation is needed, in words a person finds again in the Temporal UI and in the history."""

from __future__ import annotations

from experiments.drift import editor, is_outdated
from experiments.plan import Action, Plan, Step
from experiments.snapshot import Snapshot


def reasons(plan: Plan) -> list[str]:
    """Empty for a plan that is not needed, else at least one, like `generation 3` or `TestTrigger deleted`."""
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


def _of(action: Action, snapshot: Snapshot, known: list[str]) -> str | None:
    kind = action.ref.resource.kind
    if action.step == Step.ADD_FINALIZER:
        return "finalizer missing"
    if action.manifest is None:
        return f"{'finalizer' if action.step == Step.REMOVE_FINALIZER else kind} not wanted"
    if action.live is None:
        remembered = action.ref in snapshot.subject.remembered_children
        return f"{kind} deleted" if remembered else f"{kind} missing"
    if not is_outdated(action.differences):
        return f"{kind} edited by {editor(action.live) or 'somebody'}"
    return None if "agent URL changed" in known else f"{kind} out of date"


def _news(plan: Plan) -> list[str]:
    """What the status does not say yet: the conditions whose reason is new."""
    said = {(c.type, c.reason) for c in plan.snapshot.subject.status.conditions}
    conditions = plan.report.conditions if plan.report else ()
    return [f"{c.type} is {c.reason}" for c in conditions if (c.type, c.reason) not in said] or ["status out of date"]
