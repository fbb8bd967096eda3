"""What an installation may choose about the generated objects, and what it refuses.

Read once at the door and handed down as values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

OWN_NAMESPACE = "."
NeighbourCheck: TypeAlias = Literal["refuse", "warn"]
"""What becomes of an Experiment that names other objects which are not there, or whose name is taken."""


@dataclass(frozen=True, slots=True)
class PhaseTemplates:
    """Names of the TestWorkflowTemplates of the phases, in the order in which they run."""

    setup: str = "setup-template"
    run: str = "run-template"
    evaluate: str = "evaluate-template"
    publish: str = "publish-template"
    visualize: str = "visualize-template"
    gate: str = "gate-template"


@dataclass(frozen=True, slots=True)
class Options:
    """`testkube_namespace` is where Testkube reads its objects, or `.` for each Experiment's own namespace.

    `experiment_file` is where the phases read experiment.json; images of the wild differ in it. `aborts_executions`
    says that Testkube's API can be called, so that what still runs of a deleted Experiment is aborted. With
    `watches_all` children are looked for in every namespace: some may lie where Testkube read before.
    """

    testkube_namespace: str = "testkube"
    templates: PhaseTemplates = field(default_factory=PhaseTemplates)
    experiment_file: str = "/data/datasets/experiment.json"
    aborts_executions: bool = False
    watches_all: bool = False

    @property
    def generated_in(self) -> str:
        """The one namespace in which children are made, empty where it is each Experiment's own."""
        return "" if self.testkube_namespace == OWN_NAMESPACE else self.testkube_namespace

    @property
    def watched_in(self) -> str:
        """The one namespace in which children are looked for, empty for all."""
        return "" if self.watches_all else self.generated_in

    def testkube_namespace_for(self, namespace: str) -> str:
        return self.generated_in or namespace
