"""Where watcher, worker and api meet: the names and payloads of the workflow that reconciles one Experiment.

One workflow ID per Experiment, one run per reconciliation. Payloads hold what a person wants to read in the Temporal
UI; objects are read again where they are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WORKFLOW_TYPE = "ReconcileExperiment"
SIGNAL = "wake"
TAKE_SNAPSHOT = "take_snapshot"
WRITE_STATUS = "write_status"
_PREFIX = "experiment"


@dataclass(frozen=True, slots=True)
class Target:
    """The Experiment that a run is about. With the uid, since a name may come back as another object."""

    namespace: str
    name: str
    uid: str

    @property
    def workflow_id(self) -> str:
        return f"{_PREFIX}/{self.namespace}/{self.name}/{self.uid}"

    @classmethod
    def from_workflow_id(cls, workflow_id: str) -> Target | None:
        match workflow_id.split("/"):
            case [prefix, namespace, name, uid] if prefix == _PREFIX:
                return cls(namespace, name, uid)
        return None


def workflow_id_prefix(namespace: str, name: str) -> str:
    """What the IDs of all Experiments that ever had this name begin with."""
    return f"{_PREFIX}/{namespace}/{name}/"


@dataclass(slots=True)
class Wakeup:
    """Why to look. `seen` are the resourceVersions, by object (`Agent default/weather`), that this judgement rests on.

    A worker whose caches are behind one of them reads that object again. An empty version means that there was none.
    """

    reasons: list[str]
    seen: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Reconcile:
    """Input of the workflow. All but the target is what a run hands to the next when it continues as new."""

    target: Target
    pending: list[Wakeup] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


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
    """`certain` asks for the children to be read even where the Experiment is new and has none by all accounts."""

    target: Target
    seen: dict[str, str]
    certain: bool = False


@dataclass(slots=True)
class PlannedAction:
    """One action of a plan; `step` is also the name of its activity."""

    step: str
    kind: str
    namespace: str
    name: str
    description: str


@dataclass(slots=True)
class Obstacle:
    """A problem by the name of its class in `experiments.errors`."""

    reason: str
    message: str


@dataclass(slots=True)
class Findings:
    """What `take_snapshot` found. `news` says that the status has to be written whatever the actions come to.

    `done` is what this run has done already, as far as the worker knows, also where the run itself was made to forget.
    """

    exists: bool
    generation: int = 0
    deleting: bool = False
    suspended: bool = False
    actions: list[PlannedAction] = field(default_factory=list)
    problems: list[Obstacle] = field(default_factory=list)
    news: bool = False
    done: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ActionRequest:
    target: Target
    action: PlannedAction


@dataclass(slots=True)
class StatusRequest:
    """What the actions have come to. `failed` is the action that met `failure`, after which no other was tried."""

    target: Target
    time: str
    changes: list[str]
    failed: PlannedAction | None = None
    failure: Obstacle | None = None


def memo(target: Target, reasons: list[str]) -> dict[str, Any]:
    """What a list of runs shows without opening one. A memo holds 2 KiB."""
    return {"experiment": f"{target.namespace}/{target.name}", "reasons": reasons[:10]}
