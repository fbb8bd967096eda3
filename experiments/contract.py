"""Where watcher, worker and api meet: the names and payloads of the workflow that reconciles one Experiment.

One workflow ID per Experiment, one run per reconciliation. Payloads hold what a person wants to read in the Temporal
UI; objects are read again where they are needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

WORKFLOW_TYPE = "ReconcileExperiment"
SIGNAL = "wake"
TAKE_SNAPSHOT = "take_snapshot"
CARRY_OUT = "carry_out"
WRITE_STATUS = "write_status"
NOTHING_TO_REPORT = "nothing to report"
"""Result of a `write_status` that did not have to write."""
_PREFIX = "experiment"

# Metrics of runs, counted by Temporal's own meter, which does not count a replay (docs/metrics.md).
RECONCILIATIONS = "experiment_operator_reconciliations"
RECONCILIATION_DURATION = "experiment_operator_reconciliation_duration"
RECONCILIATION_PAUSES = "experiment_operator_reconciliation_pauses"

Outcome: TypeAlias = Literal["Reconciled", "Unchanged", "Suspended", "CleanedUp", "Gone"]
"""What a run that completes can come to. One that fails has the name of an `errors.Terminal` as outcome."""

# What a memo takes of it, so that it stays below the 2 KiB above which the server complains.
_MAX_RESULT_BYTES = 1000
_MAX_MEMO_REASONS = 10
_MAX_REASON_BYTES = 90
# Temporal takes 400 bytes of JSON, in which some characters are two.
_MAX_SUMMARY_BYTES = 190


class Urgency(IntEnum):
    """What goes first where not all can be looked after at once, in the watcher's queue and in Temporal's."""

    ASKED = 1
    """A person has asked for a reconciliation."""
    CHANGED = 2
    """Somebody has made, changed or deleted an Experiment."""
    REPAIR = 3
    """A child is not as it was made, or has yet to be looked at again."""
    FOLLOW = 4
    """Something changed that many Experiments may depend on."""


@dataclass(frozen=True, slots=True)
class Target:
    """The Experiment that a run is about. With the uid, since a name may come back as another object."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"Experiment {self.namespace}/{self.name}"

    @property
    def workflow_id(self) -> str:
        return f"{_PREFIX}/{self.namespace}/{self.name}/{self.uid}"

    @classmethod
    def from_workflow_id(cls, workflow_id: str) -> Target | None:
        match workflow_id.split("/"):
            case [prefix, namespace, name, uid] if prefix == _PREFIX:
                return cls(namespace, name, uid)
        return None


def workflow_id_prefix(namespace: str, name: str = "") -> str:
    """Say what the IDs of all Experiments that ever had this name, or were in this namespace, begin with."""
    return f"{_PREFIX}/{namespace}/{name}/" if name else f"{_PREFIX}/{namespace}/"


@dataclass(slots=True)
class WakeSignal:
    """Why to look. `seen` are the resourceVersions, by object (`Agent default/weather`), that this judgement rests on.

    A worker whose caches are behind one of them reads that object again. An empty version means that there was none.
    `orphan` says that the Experiment was deleted so that its children stay: nobody can read that from it later.
    """

    reasons: list[str]
    seen: dict[str, str] = field(default_factory=dict)
    orphan: bool = False

    @classmethod
    def of(cls, given: Sequence[object]) -> WakeSignal | None:
        """Read what somebody has sent. Temporal's UI and CLI offer to send nothing; None for what makes no sense.

        Of `seen`, what names no object or has no version is left out: the worker would have to read it.
        """
        if not given or list(given) == [None]:
            return cls(["woken by hand"])
        try:
            [value] = given
            signal = _WAKE_SIGNAL.validate_python(value)
        except ValueError:
            return None
        seen = {name: version for name, version in signal.seen.items() if _SEEN.fullmatch(f"{name}={version}")}
        return cls(signal.reasons, seen, signal.orphan)


_WAKE_SIGNAL = TypeAdapter(WakeSignal)
_DNS = "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_SEEN = re.compile(f"[A-Za-z]{{1,63}} {_DNS}/{_DNS}=[0-9]{{0,20}}")


@dataclass(slots=True)
class RunState:
    """What a run knows: the input of the workflow, and all that a run hands to the next when it continues as new.

    `reasons` are why it began and what woke it, `changes` what it did, `unreported` those that no status has said yet.
    `seen` is that of all its signals. `attempt` numbers the passes since the last signal, once one came to nothing, and
    `woken` asks for another. `released` says that the finalizer was removed, `may_abort` that Testkube was never away.
    `pending` are signals that it begins with: an eager start has none of its own. `orphan` is that of a signal.
    """

    target: Target
    pending: list[WakeSignal] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    attempt: int = 0
    woken: bool = False
    released: bool = False
    may_abort: bool = True
    orphan: bool = False


@dataclass(slots=True)
class Result:
    """What a run did, in words. Also the details of the error of a run that failed."""

    outcome: str
    message: str
    generation: int
    reasons: list[str]
    changes: list[str]


@dataclass(slots=True)
class SnapshotRequest:
    """`certain` asks for all to be read anew: also children of a new Experiment, and what caches have."""

    target: Target
    seen: dict[str, str]
    certain: bool = False
    orphan: bool = False

    @property
    def summary(self) -> str:
        return summary(f"read {self.target}")


@dataclass(slots=True)
class PlannedAction:
    """One action of a plan; `step` is also the name of its activity."""

    step: str
    kind: str
    namespace: str
    name: str
    description: str


@dataclass(slots=True)
class Blocker:
    """A problem by the name of its class in `experiments.errors`."""

    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclass(slots=True)
class SnapshotResult:
    """What `take_snapshot` found. `news` says that the status has to be written whatever the actions come to.

    As many of the actions as `together` says, from the first, may be carried out in one step; with `reportable`, the
    status may be written there as well. `done` is what this run has done already, as far as the worker knows, also
    where the run itself was made to forget; `unreported` is what no status has said of that.
    """

    exists: bool
    generation: int = 0
    deleting: bool = False
    suspended: bool = False
    actions: list[PlannedAction] = field(default_factory=list)
    problems: list[Blocker] = field(default_factory=list)
    news: bool = False
    done: list[str] = field(default_factory=list)
    unreported: list[str] = field(default_factory=list)
    together: int = 0
    reportable: bool = False


@dataclass(slots=True)
class ActionRequest:
    target: Target
    action: PlannedAction

    @property
    def summary(self) -> str:
        """Say what it does to which object, which the action of a finalizer leaves out."""
        of = f" of {self.target}" if self.action.kind == "Experiment" else ""
        return summary(f"{self.action.description}{of}")


@dataclass(slots=True)
class StatusRequest:
    """What the actions have come to. `failed` is the action that met `failure`, after which no other was tried."""

    target: Target
    time: str
    changes: list[str]
    failed: PlannedAction | None = None
    failure: Blocker | None = None

    @property
    def summary(self) -> str:
        return summary(f"write status of {self.target}")


@dataclass(slots=True)
class ActionsRequest:
    """Several actions in one step. `report` is what to say in the status if all go smoothly, but for their changes."""

    target: Target
    actions: list[PlannedAction]
    report: StatusRequest | None = None

    @property
    def summary(self) -> str:
        each = [ActionRequest(self.target, action).summary for action in self.actions]
        return summary("; ".join([*each, "write status"] if self.report else each))


@dataclass(slots=True)
class Progress:
    """How many of several actions went smoothly, from the first, and what has changed, in words.

    `failure` is what the one after these has met, where to try it again would not help. `reported` is the result of
    `write_status`, empty where the status has yet to be written.
    """

    done: int = 0
    changes: list[str] = field(default_factory=list)
    failure: Blocker | None = None
    reported: str = ""


@dataclass(frozen=True, slots=True)
class RunMemo:
    """What lists and filters know of a run without opening its history.

    `experiment` is for who reads it in Temporal's UI. There is an `outcome` once the run has ended, and what else is in
    its result where that is not too long.
    """

    experiment: str = ""
    reasons: list[str] = field(default_factory=list)
    outcome: str = ""
    message: str = ""
    changes: list[str] = field(default_factory=list)

    def to_memo(self) -> dict[str, Any]:
        """Leave out what is empty."""
        return {key: value for key, value in asdict(self).items() if value}


def memo(target: Target, reasons: list[str], result: Result | None = None) -> dict[str, Any]:
    """Note what is known of a run as it begins, or goes on as a new one; with `result`, as it ends."""
    experiment = f"{target.namespace}/{target.name}"
    if result is None:
        return RunMemo(experiment, in_brief(reasons)).to_memo()
    whole = RunMemo(experiment, result.reasons, result.outcome, result.message, result.changes)
    told = {"message": whole.message, "reasons": whole.reasons, "changes": whole.changes}
    if len(json.dumps(told, ensure_ascii=False).encode()) <= _MAX_RESULT_BYTES:
        return whole.to_memo()
    return RunMemo(experiment, in_brief(reasons), result.outcome).to_memo()


def in_brief(reasons: Sequence[str]) -> list[str]:
    """Keep what lists and filters need of the reasons for a run."""
    return [cut(reason, _MAX_REASON_BYTES) for reason in reasons[:_MAX_MEMO_REASONS]]


def summary(text: str) -> str:
    """Cut what Temporal's UI shows of a run or a step in one line to the length that Temporal takes."""
    return cut(text, _MAX_SUMMARY_BYTES)


def cut(text: str, size: int) -> str:
    """Cut a text so that it has at most `size` bytes in UTF-8."""
    return text.encode()[:size].decode(errors="ignore")
