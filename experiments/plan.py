"""The pure function in the middle: what has to be done so that the cluster is as an Experiment says.

    snapshot -> plan -> actions in order, and the report that holds once they are done

The watcher asks a plan whether it would do anything, the worker carries it out, the api shows it. Nothing here does
I/O, and the same snapshot always gives the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from experiments import expressions, manifests, resolve
from experiments.conditions import ConditionType, Report, condition, generated
from experiments.drift import Difference, differences
from experiments.errors import (
    ChildTerminating,
    CleanupPending,
    Immutable,
    InvalidExpression,
    InvalidSpec,
    NameConflict,
    Problem,
    Terminal,
    TestkubeMissing,
)
from experiments.models import Condition, ExperimentSpec
from experiments.names import APPLIED, CHILD_KINDS, CHILD_SUFFIXES, FINALIZER, is_marked
from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from experiments.schedule import check_schedule
from experiments.snapshot import Snapshot
from experiments.warnings import FieldFinding, trigger_warnings, workflow_warnings
from kube.objects import CONFIG_MAP, Object, ObjectRef, Resource, ref_of

_P = ParamSpec("_P")
_T = TypeVar("_T")


_OVERALL = {ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED}


class Step(StrEnum):
    """What an action does, by the name of the activity that does it."""

    ADD_FINALIZER = "add_finalizer"
    APPLY_CONFIG_MAP = "apply_config_map"
    APPLY_TEST_WORKFLOW = "apply_test_workflow"
    APPLY_TEST_TRIGGER = "apply_test_trigger"
    REPLACE_CONFIG_MAP = "replace_config_map"
    REPLACE_TEST_WORKFLOW = "replace_test_workflow"
    REPLACE_TEST_TRIGGER = "replace_test_trigger"
    DELETE_TEST_TRIGGER = "delete_test_trigger"
    DELETE_TEST_WORKFLOW = "delete_test_workflow"
    ABORT_EXECUTIONS = "abort_executions"
    DELETE_CONFIG_MAP = "delete_config_map"
    RELEASE_CONFIG_MAP = "release_config_map"
    RELEASE_TEST_WORKFLOW = "release_test_workflow"
    RELEASE_TEST_TRIGGER = "release_test_trigger"
    REMOVE_FINALIZER = "remove_finalizer"


APPLY = {
    CONFIG_MAP: Step.APPLY_CONFIG_MAP,
    TEST_WORKFLOW: Step.APPLY_TEST_WORKFLOW,
    TEST_TRIGGER: Step.APPLY_TEST_TRIGGER,
}
REPLACE = {
    CONFIG_MAP: Step.REPLACE_CONFIG_MAP,
    TEST_WORKFLOW: Step.REPLACE_TEST_WORKFLOW,
    TEST_TRIGGER: Step.REPLACE_TEST_TRIGGER,
}
RELEASE = {
    CONFIG_MAP: Step.RELEASE_CONFIG_MAP,
    TEST_WORKFLOW: Step.RELEASE_TEST_WORKFLOW,
    TEST_TRIGGER: Step.RELEASE_TEST_TRIGGER,
}
DELETE = {
    CONFIG_MAP: Step.DELETE_CONFIG_MAP,
    TEST_WORKFLOW: Step.DELETE_TEST_WORKFLOW,
    TEST_TRIGGER: Step.DELETE_TEST_TRIGGER,
}


@dataclass(frozen=True, slots=True)
class Action:
    """One step on one object. An apply has a `manifest`; `live` is the object it changes or deletes, None to create.

    `differences` are the fields of the manifest at which `live` says something else.
    """

    step: Step
    ref: ObjectRef
    manifest: Object | None = None
    live: Object | None = None
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        if self.ref.resource not in CHILD_SUFFIXES:
            return f"{'add' if self.step == Step.ADD_FINALIZER else 'remove'} finalizer {FINALIZER}"
        if self.step == Step.ABORT_EXECUTIONS:
            return f"abort executions of {self.ref}"
        if self.step in RELEASE.values():
            return f"release {self.ref}"
        if self.manifest is None:
            return f"delete {self.ref}"
        if self.live is None:
            return f"create {self.ref}"
        fields = [each.path for each in self.differences if APPLIED not in each.path]
        verb = "replace" if self.step in REPLACE.values() else "change"
        return f"{verb} {self.ref} ({', '.join(fields)})" if fields else f"{verb} {self.ref}"


@dataclass(frozen=True)
class Plan:
    """`actions` in order; `report` is the status once they are done, None when there is nothing to report to.

    `problems` are what keeps the Experiment from being Ready, terminal ones first. `warnings` do not. `manifests`
    are all objects that there should be, as far as they can be generated. `unfilled` are the parameters of templates,
    as `template: parameter`, that have no default and that nobody sets.
    """

    snapshot: Snapshot
    actions: tuple[Action, ...] = ()
    report: Report | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[FieldFinding, ...] = ()
    unfilled: tuple[str, ...] = ()
    inputs: manifests.Inputs | None = field(default=None, repr=False)
    manifests: tuple[Object, ...] = field(default=(), repr=False)

    @property
    def needed(self) -> bool:
        """Whether a reconciliation would change anything, the status included."""
        return bool(self.actions) or self.is_news

    @property
    def is_news(self) -> bool:
        """Whether the status does not say yet what there is to report."""
        return self.report is not None and self.report.differs_from(self.snapshot.subject.status)

    @property
    def cause(self) -> tuple[object, ...]:
        """Everything this plan follows from that this service does not write itself, to be compared for equality.

        It stays the same while the plan is being carried out, and changes when a person or another controller acts.
        """
        meta = self.snapshot.subject.meta
        said = self.report and (self.report.conditions, self.report.requested_at)
        return meta.uid, meta.generation, meta.deletion_timestamp, said, repr(self.inputs), self.problems


def plan(snapshot: Snapshot, failures: Mapping[ObjectRef, Problem] = MappingProxyType({})) -> Plan:
    """Plan a reconciliation. An action that has met one of `failures` is reported instead of planned again."""
    subject, failures = snapshot.subject, {**snapshot.refused, **failures}
    if subject.meta.deletion_timestamp:
        return _clean_up(snapshot, failures)
    if subject.spec is None:
        return _leave_alone(snapshot, InvalidSpec("; ".join(subject.errors)))
    if subject.spec.suspend:
        return _leave_alone(snapshot, None)
    return _Planner(snapshot, subject.spec, failures).plan()


def _clean_up(snapshot: Snapshot, failures: Mapping[ObjectRef, Problem]) -> Plan:
    """Delete what the finalizer waits for, also beside the Experiment: the garbage collector knows no order.

    Only when nothing can begin any more, what still runs is aborted: an execution whose ConfigMap is gone before its
    pod has begun would wait for it for ever.
    """
    subject = snapshot.subject
    if FINALIZER not in subject.meta.finalizers and not subject.gone:
        return Plan(snapshot)
    if failures:
        problems = _terminal_first(failures.values())
        return Plan(snapshot, report=_carry_over_report(snapshot, _overall(problems)), problems=problems)
    end = [] if subject.gone else [Action(Step.REMOVE_FINALIZER, subject.ref)]
    if subject.orphaning:
        return Plan(snapshot, (*_releases(snapshot), *end))
    actions, pending = _deletions(snapshot, snapshot.own_children)
    if actions:
        place = next((i for i, action in enumerate(actions) if action.step == Step.DELETE_CONFIG_MAP), len(actions))
        actions[place:place] = _aborts(snapshot)
    if pending is None:
        return Plan(snapshot, (*actions, *end))
    report = _carry_over_report(snapshot, _overall((pending,)), gone={action.ref for action in actions})
    return Plan(snapshot, tuple(actions), report, (pending,))


def _releases(snapshot: Snapshot) -> list[Action]:
    """Make objects of nobody's in particular of the children, which `kubectl delete --cascade=orphan` keeps."""
    marked = [ref for ref in snapshot.own_children if is_marked(snapshot.objects[ref])]
    return [Action(RELEASE[ref.resource], ref, live=snapshot.get(ref)) for ref in marked]


def _aborts(snapshot: Snapshot) -> list[Action]:
    """Abort nothing of others' TestWorkflows, nor of one where this service generated before: Testkube goes by name.

    A spec that cannot be understood lets nothing go on: an execution that hangs is the greater harm.
    """
    subject, workflow = snapshot.subject, snapshot.subject.placement.test_workflow
    go_on = subject.spec is not None and subject.spec.deletion_policy == "Orphan"
    foreign = snapshot.get(workflow) is not None and not snapshot.is_own(workflow)
    if go_on or foreign or not subject.options.aborts_executions:
        return []
    return [Action(Step.ABORT_EXECUTIONS, workflow)]


def _leave_alone(snapshot: Snapshot, problem: Problem | None) -> Plan:
    """Leave the children of what is suspended, or not to be understood, as they are; the status says so."""
    problems = (problem,) if problem else ()
    suspended = condition(
        ConditionType.READY, False, "Suspended", "spec.suspend is true: nothing is created, changed or repaired."
    )
    return Plan(
        snapshot,
        report=_carry_over_report(snapshot, _overall(problems) if problems else (suspended,)),
        problems=problems,
    )


def _carry_over_report(snapshot: Snapshot, overall: tuple[Condition, ...], gone: Collection[ObjectRef] = ()) -> Report:
    """Report what the status says already, but for how it stands `overall` and for children that are `gone`."""
    status = snapshot.subject.status
    parts = [c for c in status.conditions if c.type in set(ConditionType) - _OVERALL]
    return Report(
        generation=snapshot.subject.meta.generation,
        conditions=(*parts, *overall),
        generated=(
            *(generated(ref, snapshot.get(ref)) for ref in snapshot.own_children if ref not in gone),
            *snapshot.unseen_children.values(),
        ),
        agent_url=status.agent_url,
        requested_at=snapshot.subject.requested_at,
    )


def _overall(problems: tuple[Problem, ...]) -> tuple[Condition, ...]:
    """Ready and, where it is false, whether waiting helps. The first of `problems` is terminal if any is."""
    ready = _verdict(ConditionType.READY, problems, "Reconciled", "The cluster is as the Experiment says.")
    if not problems:
        return (ready,)
    kind = ConditionType.STALLED if isinstance(problems[0], Terminal) else ConditionType.RECONCILING
    return condition(kind, True, ready.reason, ready.message), ready


def _verdict(kind: ConditionType, problems: Iterable[Problem], reason: str, message: str) -> Condition:
    """Make a condition that is false for the first of `problems`, naming all of them."""
    first, *rest = *problems, None
    if first is None:
        return condition(kind, True, reason, message)
    return condition(kind, False, first.reason, " ".join(str(p) for p in (first, *rest) if p))


def _terminal_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: not isinstance(p, Terminal)))


def _deletions(snapshot: Snapshot, refs: Collection[ObjectRef]) -> tuple[list[Action], CleanupPending | None]:
    """Delete kind by kind, triggers first, and none before all of the kind before are gone.

    A trigger that is still going starts its workflow; if that were gone, Testkube would drop others of the same event.
    """
    actions: list[Action] = []
    for kind in reversed(CHILD_SUFFIXES):
        found = sorted((ref for ref in refs if ref.resource == kind), key=str, reverse=True)
        going = [ref for ref in found if _is_terminating(snapshot, ref)]
        actions += [Action(DELETE[kind], ref, live=snapshot.get(ref)) for ref in found if ref not in going]
        if going:
            return actions, CleanupPending(f"Still there: {', '.join(map(str, going))}.")
    return actions, None


def _is_terminating(snapshot: Snapshot, ref: ObjectRef) -> bool:
    return "deletionTimestamp" in (snapshot.get(ref) or {}).get("metadata", {})


def check_name(snapshot: Snapshot, child: ObjectRef) -> None:
    """Raise `NameConflict` where something else has the name of a child."""
    if snapshot.get(child) and not snapshot.is_own(child):
        raise NameConflict(f"{child} exists and was not made for this Experiment; rename one of the two.")


class _Planner:
    """Collects actions and, per condition, what stands in their way.

    A problem keeps the TestWorkflow and the TestTrigger from being applied, so that Testkube never runs half of what
    is meant; what exists of them stays.
    """

    def __init__(self, snapshot: Snapshot, spec: ExperimentSpec, failures: Mapping[ObjectRef, Problem]) -> None:
        self.snapshot, self.spec, self.failures = snapshot, spec, failures
        self.subject = snapshot.subject
        self.placement = snapshot.subject.placement
        self.actions: list[Action] = []
        self.problems: dict[ConditionType, list[Problem]] = {kind: [] for kind in ConditionType}
        self.warnings: dict[ConditionType, list[FieldFinding]] = {
            ConditionType.WORKFLOW_READY: list(workflow_warnings(snapshot, spec)),
            ConditionType.TRIGGER_READY: list(trigger_warnings(snapshot, spec)),
        }
        self.unfilled: list[str] = []
        self.manifests: list[Object] = []
        self.judge: resolve.Judge | None = None
        self.agent: resolve.AgentUrl | None = None

    def plan(self) -> Plan:
        if FINALIZER not in self.subject.meta.finalizers:
            self._add(ConditionType.READY, Step.ADD_FINALIZER, self.subject.ref)
        inputs = self._inputs()
        if not self.problems[ConditionType.READY]:
            self._children(inputs)
        if not self._blocked:
            self._delete_leftovers()
        problems = _terminal_first(p for found in self.problems.values() for p in found)
        return Plan(
            self.snapshot,
            tuple(self.actions),
            self._report(problems),
            problems,
            tuple(warning for found in self.warnings.values() for warning in found),
            tuple(self.unfilled),
            inputs,
            tuple(self.manifests),
        )

    def _inputs(self) -> manifests.Inputs | None:
        """Collect everything the TestWorkflow is made from, or None when something is in the way."""
        workflow = ConditionType.WORKFLOW_READY
        self.agent = self._attempt(ConditionType.AGENT_RESOLVED, resolve.agent_url, self.snapshot)
        self.judge = self._attempt(workflow, resolve.judge, self.snapshot)
        otlp = self._attempt(workflow, resolve.otlp_endpoint, self.snapshot)
        parameters = self._attempt(workflow, self._parameters)
        self._attempt(workflow, check_schedule, self.spec.schedule)
        self._attempt(workflow, _check_expressions, self.spec)
        if self._blocked or self.agent is None or self.judge is None or parameters is None:
            return None
        observed = resolve.is_observed(self.snapshot, self.spec, otlp)
        return manifests.Inputs(self.agent.url, self.judge, otlp, observed, parameters)

    def _parameters(self) -> dict[str, dict[str, Any]]:
        self._require(TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE)
        if self.snapshot.get(self.subject.workflow_namesake):
            raise NameConflict(f"{self.subject.workflow_namesake} has the name that the TestWorkflow needs.")
        return resolve.template_parameters(self.snapshot)

    def _children(self, inputs: manifests.Inputs | None) -> None:
        workflow, trigger = ConditionType.WORKFLOW_READY, ConditionType.TRIGGER_READY
        subject, spec = self.subject, self.spec
        self._apply(workflow, manifests.config_map, subject, spec)
        manifest = None
        if inputs is not None and not self._blocked:
            manifest = self._apply(workflow, manifests.test_workflow, subject, spec, inputs)
            self.unfilled += manifests.unfilled(subject, manifest, inputs) if manifest else []
        if not spec.wants_trigger or not self._workflow_will_be:
            self._drop_trigger()
        if manifest is None:
            return
        if spec.wants_trigger and not self._blocked and self._attempt(trigger, self._require, TEST_TRIGGER):
            self._apply(trigger, manifests.test_trigger, subject, spec)

    @property
    def _workflow_will_be(self) -> bool:
        """Whether there is a TestWorkflow for the trigger to start, or is about to be."""
        ref = self.placement.test_workflow
        stays = self.snapshot.is_own(ref) and not _is_terminating(self.snapshot, ref)
        return stays or any(action.ref == ref for action in self.actions)

    def _drop_trigger(self) -> None:
        """Delete a trigger that is not wanted, or has lost its workflow: Testkube would drop others because of it."""
        trigger = self.placement.test_trigger
        if self.snapshot.is_own(trigger) or trigger in self.failures:
            self._delete([trigger])

    def _delete_leftovers(self) -> None:
        """Delete what was made where this service generated before, and tell of what may not even be read there."""
        self._delete([ref for ref in self._all() if ref not in self.placement.children])
        refused = (self.snapshot.refused[ref] for ref in self.snapshot.unseen_children)
        self.problems[ConditionType.READY].extend(refused)

    def _delete(self, refs: Collection[ObjectRef]) -> None:
        actions, pending = _deletions(self.snapshot, refs)
        for action in actions:
            self._add(ConditionType.READY, action.step, action.ref)
        if pending:
            self.problems[ConditionType.READY].append(pending)

    def _apply(self, kind: ConditionType, make: Callable[_P, Object], *args: _P.args, **kw: _P.kwargs) -> Object | None:
        manifest = self._attempt(kind, make, *args, **kw)
        if manifest is None:
            return None
        self.manifests.append(manifest)
        action = self._attempt(kind, self._application, manifest)
        if action and (action.live is None or action.differences):
            self.actions.append(action)
        return manifest

    def _application(self, manifest: Object) -> Action:
        resource = CHILD_KINDS[manifest["kind"]]
        ref = ref_of(resource, manifest)
        problem = self.failures.get(ref)
        if problem and not isinstance(problem, Immutable):
            raise problem
        live = self.snapshot.get(ref)
        if live is None:
            return Action(APPLY[resource], ref, manifest)
        check_name(self.snapshot, ref)
        if _is_terminating(self.snapshot, ref):
            raise ChildTerminating(f"{ref} is being deleted; it is made again once it is gone.")
        # A ConfigMap says itself that it may not be changed; of all else, the API server says it when it is tried.
        steps = REPLACE if problem or live.get("immutable") else APPLY
        return Action(steps[resource], ref, manifest, live, tuple(differences(manifest, live)))

    def _add(self, kind: ConditionType, step: Step, ref: ObjectRef) -> None:
        if problem := self.failures.get(ref):
            self.problems[kind].append(problem)
        else:
            self.actions.append(Action(step, ref, live=self.snapshot.get(ref)))

    def _require(self, *resources: Resource) -> bool:
        """Require them to be served. Names the group, not the kind: watcher and worker may not learn of all at once."""
        if missing := self.snapshot.unserved.intersection(resources):
            raise TestkubeMissing(f"{next(iter(missing)).api_version} is not served here; install Testkube.")
        return True

    def _attempt(self, kind: ConditionType, make: Callable[_P, _T], *args: _P.args, **kw: _P.kwargs) -> _T | None:
        try:
            return make(*args, **kw)
        except Problem as problem:
            self.problems[kind].append(problem)
            return None

    def _all(self) -> list[ObjectRef]:
        return self.snapshot.own_children

    @property
    def _blocked(self) -> bool:
        return any(self.problems.values())

    def _report(self, problems: tuple[Problem, ...]) -> Report:
        applied = {action.ref for action in self.actions if action.manifest}
        deleted = {action.ref for action in self.actions if action.step in DELETE.values()}
        order = list(CHILD_SUFFIXES)
        there = sorted(({*self._all()} | applied) - deleted, key=lambda ref: (order.index(ref.resource), str(ref)))
        return Report(
            generation=self.subject.meta.generation,
            conditions=(*self._parts(), *_overall(problems)),
            generated=(
                *(generated(ref, self.snapshot.get(ref)) for ref in there),
                *self.snapshot.unseen_children.values(),
            ),
            agent_url=self.agent.url if self.agent else self.subject.status.agent_url,
            requested_at=self.subject.requested_at,
        )

    def _parts(self) -> Iterator[Condition]:
        found = self.problems
        resolved, workflow, trigger = (
            ConditionType.AGENT_RESOLVED,
            ConditionType.WORKFLOW_READY,
            ConditionType.TRIGGER_READY,
        )
        if self.agent:
            yield condition(resolved, self.agent.resolved, self.agent.reason, self.agent.message)
        else:
            yield _verdict(resolved, found[resolved], "", "")
        in_the_way = [*found[ConditionType.READY], *found[workflow], *found[resolved]]
        yield _verdict(workflow, in_the_way, *self._applied(workflow, self.placement.test_workflow))
        if self.spec.wants_trigger:
            said = self._applied(trigger, self.placement.test_trigger)
            yield _verdict(trigger, [*found[trigger], *in_the_way], *said)

    def _applied(self, kind: ConditionType, child: ObjectRef) -> tuple[str, str]:
        """Return reason and message of a condition that is true, with what there is to say besides."""
        words = [f"{child} is as the Experiment says."]
        if kind == ConditionType.WORKFLOW_READY and self.judge:
            words.append(self.judge.message)
        unfilled = self.unfilled if kind == ConditionType.WORKFLOW_READY else []
        if unfilled:
            words.append(f"Nobody sets these parameters of its templates: {', '.join(unfilled)}.")
        words += [f"Warning: {warning}" for warning in self.warnings[kind]]
        if unfilled:
            return "ParametersUnfilled", " ".join(words)
        return "AppliedWithWarnings" if self.warnings[kind] else "Applied", " ".join(words)


def _check_expressions(spec: ExperimentSpec) -> None:
    """Raise `InvalidExpression` for what would abort every execution, with its reason only in Testkube's own log."""
    for i, variable in enumerate(spec.env or ()):
        try:
            expressions.check(variable.value or "")
        except expressions.ExpressionError as error:
            field = f"spec.env[{i}].value"
            raise InvalidExpression(f'{field}: {error}; a {{{{ that is meant is written {{{{ "{{{{" }}}}.') from error
