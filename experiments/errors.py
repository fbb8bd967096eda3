"""Everything that can stand between an Experiment and Ready, as one tree. Each leaf is a condition reason.

    Problem
    ├── Terminal                   only a change of the Experiment, or of what it names, helps: the run fails
    │   ├── InvalidSpec            the spec breaks a rule that the CRD states
    │   ├── InvalidSchedule        no scheduler takes the cron expression or the time zone
    │   ├── InvalidExpression      `spec.env` holds an expression that Testkube cannot evaluate
    │   ├── ExperimentTooLarge     experiment.json does not fit into a ConfigMap
    │   └── AgentWithoutA2A        the Agent speaks protocols, but not the one evaluations use
    └── Retryable                  time or another object helps: the run stays open and looks again
        ├── GatewayMissing         the AiGateway does not exist
        ├── TemplateMissing        a phase template does not exist
        ├── TemplateMismatch       a phase template does not take a parameter that the phase cannot do without
        ├── ExpressionRefused      a value from another object holds `{{`, which Testkube would evaluate
        ├── ValueRefused           a value from another object is none that the field it stands for may have
        ├── TestkubeMissing        Testkube's CRDs are not installed
        ├── NameConflict           something else has the name of a child
        ├── ChildTerminating       a child is being deleted by somebody and has to be gone first
        ├── CleanupPending         children of a deleted Experiment are still there
        ├── TestkubeUnavailable    Testkube does not answer: what still runs could not be aborted
        ├── NamespaceMissing       Testkube's namespace does not exist
        ├── Overruled              the API server makes something else of a generated object than what was asked
        ├── Immutable              a child may not be changed, and could not be replaced
        ├── Rejected               the API server refuses a generated object: another version of its CRD is installed
        ├── Forbidden              the API server does not allow this service to do it
        ├── ApiUnavailable         the API server cannot be reached or fails
        └── InternalError          a defect of this service, which a new version may cure

They are values first: the plan lists them, the workflow decides by their class. Activities raise them.
"""

from __future__ import annotations


class Problem(Exception):  # noqa: N818 - a condition's reason, not a programming error
    """`str(problem)` is the sentence for the condition's message; `reason` is the condition's reason."""

    @property
    def reason(self) -> str:
        return type(self).__name__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash((type(self), str(self)))


class Terminal(Problem): ...


class InvalidSpec(Terminal): ...


class InvalidSchedule(Terminal): ...


class InvalidExpression(Terminal): ...


class ExperimentTooLarge(Terminal): ...


class AgentWithoutA2A(Terminal): ...


class Retryable(Problem): ...


class GatewayMissing(Retryable): ...


class TemplateMissing(Retryable): ...


class TemplateMismatch(Retryable): ...


class ExpressionRefused(Retryable): ...


class ValueRefused(Retryable): ...


class TestkubeMissing(Retryable):
    __test__ = False  # the name begins like a test class


class NameConflict(Retryable): ...


class ChildTerminating(Retryable): ...


class CleanupPending(Retryable): ...


class TestkubeUnavailable(Retryable):
    __test__ = False


class NamespaceMissing(Retryable): ...


class Overruled(Retryable): ...


class Immutable(Retryable): ...


class Rejected(Retryable): ...


class Forbidden(Retryable): ...


class ApiUnavailable(Retryable): ...


class InternalError(Retryable): ...


def _leaves(cls: type[Problem]) -> list[type[Problem]]:
    return [leaf for sub in cls.__subclasses__() for leaf in _leaves(sub)] or [cls]


BY_REASON: dict[str, type[Problem]] = {leaf.__name__: leaf for leaf in _leaves(Problem)}
