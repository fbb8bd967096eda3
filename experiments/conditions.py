"""What the status of an Experiment says, and when that is a change worth writing.

The plan makes a `Report`; times come in only here, so that a report can be compared with what stands there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from experiments.models import Condition, ExperimentStatus, GeneratedResource, LastReconciliation, parse_status
from kube.objects import Object, ObjectRef

_MAX_MESSAGE_LENGTH = 32768


class ConditionType(StrEnum):
    READY = "Ready"
    AGENT_RESOLVED = "AgentResolved"
    WORKFLOW_READY = "WorkflowReady"
    TRIGGER_READY = "TriggerReady"
    # kstatus': tools like Flux, Argo CD and Helm tell by them whether waiting helps. Both are absent when Ready is
    # true.
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class ExecutionConditionType(StrEnum):
    """Conditions about executions. They are no part of a plan's report: a reconciliation keeps them as they are."""

    EVALUATED = "Evaluated"
    EXECUTIONS_OBSERVED = "ExecutionsObserved"


class Reason(StrEnum):
    """Every reason that a condition can have; docs/conditions.md explains each."""

    # Fine, or fine for now.
    RECONCILED = "Reconciled"
    APPLIED = "Applied"
    APPLIED_WITH_WARNINGS = "AppliedWithWarnings"
    PARAMETERS_UNFILLED = "ParametersUnfilled"
    AGENT_READY = "AgentReady"
    AGENT_NOT_READY = "AgentNotReady"
    AGENT_SPEC = "AgentSpec"
    AGENT_NOT_FOUND = "AgentNotFound"
    AGENT_RUNTIME_MISSING = "AgentRuntimeMissing"
    SUSPENDED = "Suspended"
    # How the agent did in the last execution that has ended, and whether Testkube can be asked.
    PASSED = "Passed"
    FAILED = "Failed"
    ERRORED = "Errored"
    NOT_EVALUATED = "NotEvaluated"
    NO_EXECUTION = "NoExecution"
    TESTKUBE_ANSWERS = "TestkubeAnswers"
    # What stands in the way: the leaves of `experiments.errors`.
    INVALID_SPEC = "InvalidSpec"
    INVALID_SCHEDULE = "InvalidSchedule"
    INVALID_EXPRESSION = "InvalidExpression"
    EXPERIMENT_TOO_LARGE = "ExperimentTooLarge"
    AGENT_WITHOUT_A2A = "AgentWithoutA2A"
    GATEWAY_MISSING = "GatewayMissing"
    TEMPLATE_MISSING = "TemplateMissing"
    TEMPLATE_MISMATCH = "TemplateMismatch"
    EXPRESSION_REFUSED = "ExpressionRefused"
    VALUE_REFUSED = "ValueRefused"
    TESTKUBE_MISSING = "TestkubeMissing"
    NAME_CONFLICT = "NameConflict"
    CHILD_TERMINATING = "ChildTerminating"
    CLEANUP_PENDING = "CleanupPending"
    TESTKUBE_UNAVAILABLE = "TestkubeUnavailable"
    NAMESPACE_MISSING = "NamespaceMissing"
    OVERRULED = "Overruled"
    IMMUTABLE = "Immutable"
    REJECTED = "Rejected"
    FORBIDDEN = "Forbidden"
    API_UNAVAILABLE = "ApiUnavailable"
    INTERNAL_ERROR = "InternalError"


def generated(ref: ObjectRef, live: Object | None) -> GeneratedResource:
    """Say in a status that `ref` is there, or is about to be where `live` is None."""
    return GeneratedResource(
        api_version=ref.resource.api_version,
        kind=ref.resource.kind,
        name=ref.name,
        namespace=ref.namespace,
        uid=live["metadata"]["uid"] if live else "",
    )


def condition(kind: ConditionType, ok: bool, reason: str, message: str) -> Condition:
    """Make a condition. Its message is cut at what the CRD takes: a status that cannot be written would say nothing."""
    status: Literal["True", "False"] = "True" if ok else "False"
    return Condition(type=kind, status=status, reason=Reason(reason), message=message[:_MAX_MESSAGE_LENGTH])


def evaluated(verdict: str, message: str) -> Condition:
    """Say how the agent did in the last execution that has ended; without a verdict, that there is none."""
    if not verdict:
        message = "There has been no execution yet."
        return Condition(type=_EVALUATED, status="Unknown", reason=Reason.NO_EXECUTION, message=message)
    passed: Literal["True", "False"] = "True" if verdict == Reason.PASSED else "False"
    return Condition(type=_EVALUATED, status=passed, reason=Reason(verdict), message=message[:_MAX_MESSAGE_LENGTH])


def executions_observed(failure: str = "") -> Condition:
    """Say whether Testkube tells of executions; `failure` is why not, in words."""
    if failure:
        reason, message = Reason.TESTKUBE_UNAVAILABLE, failure[:_MAX_MESSAGE_LENGTH]
        return Condition(type=_OBSERVED, status="False", reason=reason, message=message)
    message = "Testkube tells of the executions."
    return Condition(type=_OBSERVED, status="True", reason=Reason.TESTKUBE_ANSWERS, message=message)


_EVALUATED, _OBSERVED = ExecutionConditionType.EVALUATED, ExecutionConditionType.EXECUTIONS_OBSERVED


def why_not_ready(status: ExperimentStatus) -> str:
    """Say that an Experiment is not Ready, and why, as far as its status tells; empty where it is."""
    ready = status.condition(ConditionType.READY)
    if ready and ready.status == "True":
        return ""
    return f"It is not Ready: {ready.reason}: {ready.message}" if ready else "It is not Ready."


def with_conditions(obj: Object, said: Iterable[Condition], now: str) -> list[dict[str, Any]]:
    """Return the conditions of an Experiment with these in the place of earlier ones of their types; all others stay.

    The same list as before, should they say nothing new, but for their generation.
    """
    status, generation = parse_status(obj), obj["metadata"]["generation"]
    new = {each.type: each for each in said}
    kept = [each.model_dump(by_alias=True, exclude_none=True) for each in status.conditions if each.type not in new]
    return [*kept, *(_dated(each, status, generation, now) for each in new.values())]


@dataclass(frozen=True, slots=True)
class Report:
    """The status without its times. `requested_at` is the annotation that a run with this report has honoured."""

    generation: int
    conditions: tuple[Condition, ...]
    generated: tuple[GeneratedResource, ...]
    agent_url: str | None
    requested_at: str | None

    def differs_from(self, status: ExperimentStatus) -> bool:
        return (
            self.generation != status.observed_generation
            or {_said(c) for c in self.conditions} != {_said(c) for c in status.conditions if c.type in _OURS}
            or self._generated_differs_from(status)
            or self.agent_url != status.agent_url
            or self.is_requested(status)
        )

    def is_requested(self, status: ExperimentStatus) -> bool:
        honoured = status.last_reconciliation.requested_at if status.last_reconciliation else None
        return self.requested_at is not None and self.requested_at != honoured

    def _generated_differs_from(self, status: ExperimentStatus) -> bool:
        """Tell whether `status` names other objects; one that is still to be made has no uid yet."""
        said = {r.model_copy(update={"uid": ""}): r.uid for r in status.generated_resources}
        ours = {r.model_copy(update={"uid": ""}): r.uid for r in self.generated}
        return said.keys() != ours.keys() or any(uid and uid != said[r] for r, uid in ours.items())

    @property
    def ready(self) -> Condition:
        return next(c for c in self.conditions if c.type == ConditionType.READY)

    def status(self, current: ExperimentStatus, run: LastReconciliation) -> dict[str, Any]:
        """Make the status's merge patch. `lastTransitionTime` moves only with a condition's status (API convention)."""
        patch = {
            "observedGeneration": self.generation,
            "conditions": [
                *_foreign(current),
                *(_dated(c, current, self.generation, run.time) for c in self.conditions),
            ],
            "generatedResources": [r.model_dump(by_alias=True) for r in self.generated],
            "agentUrl": self.agent_url,
            "lastReconciliation": run.model_dump(by_alias=True),
        }
        return {"status": patch}


_OURS = frozenset(ConditionType)


def _said(condition: Condition) -> tuple[str, str, str, str]:
    return condition.type, condition.status, condition.reason, condition.message


def _dated(condition: Condition, current: ExperimentStatus, generation: int, now: str) -> dict[str, Any]:
    before = current.condition(condition.type)
    since = before.last_transition_time if before and before.status == condition.status else now
    return condition.model_copy(
        update={"observed_generation": generation, "last_transition_time": since or now}
    ).model_dump(by_alias=True)


def _foreign(current: ExperimentStatus) -> Iterable[dict[str, Any]]:
    return (c.model_dump(by_alias=True, exclude_none=True) for c in current.conditions if c.type not in _OURS)
