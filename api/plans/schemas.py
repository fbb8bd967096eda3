"""What the api says of a plan."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from experiments.models import Condition, Part

PlanVerb: TypeAlias = Literal[
    "create", "change", "replace", "delete", "release", "abort", "addFinalizer", "removeFinalizer"
]


class FieldChange(Part):
    """`current` is null where there is nothing yet."""

    path: str
    current: Any
    planned: Any


class PlannedChange(Part):
    """What would be done to one object. A `create` has its top-level fields, a `delete` none."""

    verb: PlanVerb
    kind: str
    namespace: str
    name: str
    fields: list[FieldChange]


class PlanProblem(Part):
    """What keeps it from becoming Ready; `reason` is that of the condition."""

    reason: str
    message: str


class FieldMessage(Part):
    path: str
    message: str


class PlanView(Part):
    """`needed` says whether a reconciliation would change anything, the status included; `reasons` why.

    `refusals` are what admission would refuse it for, `problems` what the reconciliation would report. `conditions` and
    `agent_url` are the status afterwards.
    """

    namespace: str
    name: str
    needed: bool
    reasons: list[str]
    changes: list[PlannedChange]
    conditions: list[Condition]
    agent_url: str | None
    refusals: list[FieldMessage]
    problems: list[PlanProblem]
    warnings: list[FieldMessage]
