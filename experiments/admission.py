"""What a person is told who applies an Experiment: refusals and warnings, each with the field that it is about.

It judges the same snapshot as the plan, before there is anything to reconcile. The webhook refuses with it, and the api
shows it for files. What it lets pass and the plan cannot work with, the status says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from experiments import resolve
from experiments.errors import (
    AgentWithoutA2A,
    ExperimentTooLarge,
    GatewayMissing,
    InvalidExpression,
    InvalidSchedule,
    NameConflict,
    Problem,
    TemplateMissing,
)
from experiments.models import ExperimentSpec
from experiments.options import NeighbourCheck
from experiments.plan import Plan, check_name, plan
from experiments.schedule import shortest_pause
from experiments.snapshot import Snapshot, Subject
from experiments.warnings import FieldFinding, metrics
from kube.objects import Object

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# The API server takes no longer ones, and what is cut is no JSON.
_MAX_ANNOTATION_BYTES = 256 * 1024
_OWNED_THRESHOLD = "f:defaultThreshold"
_DEFAULT_THRESHOLD = ExperimentSpec.model_fields["default_threshold"].default
_SHORT_PAUSE_MINUTES = 5
_ALSO_BY_SCALING = frozenset({"modified", "deployment-generation-modified", "deployment-resource-modified"})
# What only the Experiment's author can mend, and where. All other problems pass away, or are somebody else's.
_FIELDS: dict[type[Problem], str] = {
    AgentWithoutA2A: "spec.agentRef",
    ExperimentTooLarge: "spec",
    GatewayMissing: "spec.aiGatewayRef",
    InvalidExpression: "spec.env",
    InvalidSchedule: "spec.schedule",
    NameConflict: "metadata.name",
    TemplateMissing: "spec",
}
# Of these, what is about other objects, which may come or go after it: GitOps applies in whatever order it likes.
_ABOUT_NEIGHBOURS = (AgentWithoutA2A, GatewayMissing, NameConflict, TemplateMissing)
# Their sentences hold a size or a list of names, which another edit changes while the fault stays.
_VARYING = (ExperimentTooLarge, TemplateMissing)


@dataclass(frozen=True, slots=True)
class Review:
    """`problems` are reasons to refuse, `warnings` are not. `unread` is one whose spec breaks the models' rules.

    Nothing else is known of that: where it is mended, other problems show that may have been there before.
    """

    problems: tuple[FieldFinding, ...] = ()
    warnings: tuple[FieldFinding, ...] = ()
    unread: bool = False

    def since(self, before: Review) -> Review:
        """Warn only of what was wrong before in the same way: nobody is kept from mending one thing by another."""
        known = {found.fault or found for found in before.problems}
        excused = {f: None for f in self.problems if (f.fault or f) in known or (before.unread and not self.unread)}
        problems = tuple(found for found in self.problems if found not in excused)
        return replace(self, problems=problems, warnings=(*excused, *self.warnings))


def review(snapshot: Snapshot, *, neighbour_check: NeighbourCheck = "refuse") -> Review:
    """Review the Experiment in the snapshot as if it were not suspended, for it will not be for ever.

    `neighbour_check` says whether it is refused because of other objects, or warned of them only.
    """
    subject = snapshot.subject.unsuspended()
    spec, snapshot = subject.spec, replace(snapshot, subject=subject)
    if spec is None:
        return Review(tuple(_finding("spec", line) for line in subject.errors), unread=True)
    problems: list[FieldFinding] = []
    warnings: list[FieldFinding] = []
    about_neighbours = problems if neighbour_check == "refuse" else warnings
    made = plan(snapshot)
    for problem in _problems(made, spec):
        path = _FIELDS.get(type(problem))
        fault = problem.reason if isinstance(problem, _VARYING) else ""
        ours = about_neighbours if isinstance(problem, _ABOUT_NEIGHBOURS) else problems
        (warnings if path is None else ours).append(_finding(path or "spec", str(problem), fault))
    _review_agent(snapshot, about_neighbours, warnings)
    warnings += [*made.warnings, *_warnings(subject, spec)]
    return Review(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(warnings)))


def _finding(path: str, sentence: str, fault: str = "") -> FieldFinding:
    """Take the path from the sentence, where that begins with one."""
    found, colon, rest = sentence.partition(": ")
    if colon and found.startswith(("spec", "metadata")) and " " not in found:
        path, sentence = found, rest
    return FieldFinding(path, sentence, fault)


def _problems(made: Plan, spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield the plan's, and names that are taken, for which it does not look while anything else is in the way."""
    yield from made.problems
    snapshot = made.snapshot
    *others, trigger = snapshot.subject.placement.children
    for child in [*others, trigger] if spec.wants_trigger else others:
        try:
            check_name(snapshot, child)
        except NameConflict as problem:
            yield problem


def _review_agent(snapshot: Snapshot, missing: list[FieldFinding], warnings: list[FieldFinding]) -> None:
    try:
        agent = resolve.agent_url(snapshot)
    except Problem:
        return  # the plan has it
    if agent.reason == "AgentNotFound":
        missing.append(FieldFinding("spec.agentRef", f"{snapshot.subject.agent} does not exist."))
    elif agent.reason in {"AgentNotReady", "AgentSpec"}:
        warnings.append(FieldFinding("spec.agentRef", agent.message))


def _warnings(subject: Subject, spec: ExperimentSpec) -> Iterator[FieldFinding]:
    if (undecided := [each for each in metrics(spec) if each.threshold is None]) and not _default_is_chosen(
        subject, spec
    ):
        what = ", ".join(dict.fromkeys(metric.metric_name for metric in undecided))
        words = f"some metrics have no threshold ({what}), and none is set for all: {spec.default_threshold} is used."
        yield FieldFinding("spec.defaultThreshold", words)
    if spec.trigger and spec.wants_trigger and spec.trigger.event in _ALSO_BY_SCALING:
        vain = ", and then waits in vain for a rollout" if spec.trigger.wait_for_rollout.enabled else ""
        words = f"{spec.trigger.event} also fires when the Deployment is scaled{vain}"
        yield FieldFinding("spec.trigger.event", f"{words}; deployment-image-update fires on a new image only.")
    if spec.schedule and (pause := shortest_pause(spec.schedule)) < _SHORT_PAUSE_MINUTES:
        yield FieldFinding("spec.schedule.cron", f"evaluates the agent again after {pause} min.")


def _default_is_chosen(subject: Subject, spec: ExperimentSpec) -> bool:
    """Tell a default that somebody wrote from the 0.9 that the API server puts where nothing was said.

    Whoever applies server-side owns in managedFields what he wrote; client-side kubectl leaves a copy of it. Of other
    clients nobody can tell, and so they count as having chosen.
    """
    if spec.default_threshold != _DEFAULT_THRESHOLD or (spec.inline and spec.inline.default_threshold is not None):
        return True
    owned = list(_owned_in_spec(subject.obj))
    applied = [fields for operation, fields in owned if operation == "Apply"]
    if any(_OWNED_THRESHOLD in fields for fields in applied):
        return True
    written = _last_applied(subject)
    if written is None and applied and not any(_OWNED_THRESHOLD in fields for _, fields in owned):
        return False
    return (subject.obj["spec"] if written is None else written).get("defaultThreshold") is not None


def _owned_in_spec(obj: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield by which operation each manager came to the fields of the spec that it owns."""
    entries = obj["metadata"].get("managedFields")
    for entry in entries if isinstance(entries, list) else ():
        with suppress(KeyError, TypeError):  # a file, unlike the API server, may have anything there
            operation, fields = entry["operation"], entry["fieldsV1"]["f:spec"]
            if fields and isinstance(fields, dict):
                yield operation, fields


def _last_applied(subject: Subject) -> Mapping[str, Any] | None:
    try:
        written = json.loads(subject.meta.annotations[_LAST_APPLIED][:_MAX_ANNOTATION_BYTES])["spec"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return written if isinstance(written, dict) else {}
