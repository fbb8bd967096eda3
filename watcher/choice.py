"""Which of the executions that Testkube lists are to be followed, or looked at once more. Pure.

An execution in a state that neither the list before nor the Experiment's status had is news. At the first poll of a
term there is no list before; then Temporal knows which have been followed to their end. To have one followed is
idempotent, so that in doubt it is done once more.

Times are Testkube's own: its clock is compared with none of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from experiments.contract import Target
from experiments.executions import ExecutionTarget
from experiments.models import LastExecution, parse_status
from experiments.names import EXPERIMENT_ANNOTATION, UID_LABEL, experiment_of, is_original, placement
from experiments.options import Options
from experiments.resources import EXPERIMENT, TEST_WORKFLOW
from kube.objects import Object, ObjectRef
from testkube.executions import Execution

MARGIN = timedelta(minutes=3)
"""How far each poll reaches back behind the newest that the one before had. Longer than polls are apart."""
LONGEST_WATCHED = timedelta(hours=1)
"""How old an unfinished execution may be for polls to reach back to it. The run that follows it looks by itself, too,
every ten minutes, and one that hangs for ever must not have all that came later listed each time."""
FIRST_LOOK = timedelta(days=1)
"""How far the first poll of a term reaches back."""

Find: TypeAlias = Callable[[ObjectRef], Object | None]
Listed: TypeAlias = dict[str, "Sighting"]
"""What a poll has seen, by the executions' ids."""

# What Testkube makes is a hexadecimal number. A slash would break the ID of the workflow that follows it.
_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class Sighting:
    """An execution of an Experiment as a list has it. `last` is the one that the Experiment's status speaks of."""

    execution: ExecutionTarget
    status: str
    finished: bool
    begun: datetime | None
    last: LastExecution | None = None


def sighting(listed: Execution, find: Find, options: Options) -> Sighting | None:
    """Tell of which Experiment an execution is; None where it is nobody's.

    Its TestWorkflow's marks name the Experiment, in copies too: the name has to be the one that is generated.
    """
    namespace, _, name = listed.annotations.get(EXPERIMENT_ANNOTATION, "").partition("/")
    experiment = find(ObjectRef(EXPERIMENT, namespace, name)) if name else None
    if experiment is None or listed.labels.get(UID_LABEL) != experiment["metadata"]["uid"]:
        return None
    if listed.workflow != placement(namespace, name, options).test_workflow.name or not _ID.fullmatch(listed.id):
        return None
    execution = ExecutionTarget(_target(experiment), listed.workflow, listed.id)
    last = parse_status(experiment).last_execution
    return Sighting(execution, listed.status, listed.finished, begun(listed), last)


def execution_in(event: Object, find: Find, options: Options) -> ExecutionTarget | None:
    """Tell of which execution of an Experiment one of Testkube's Events speaks; None where it is nobody's."""
    of = event.get("involvedObject") or {}
    workflow = ObjectRef(TEST_WORKFLOW, of.get("namespace", ""), of.get("name", ""))
    verb, _, kind = str(event.get("reason")).partition("-")
    key, _, identity = str(event.get("message")).partition("=")
    if verb not in {"queue", "start", "end"} or not kind.startswith("testworkflow"):
        return None
    live = find(workflow)
    if live is None or key != "executionId" or not _ID.fullmatch(identity):
        return None
    experiment = _experiment_of(workflow, live, find, options)
    return ExecutionTarget(_target(experiment), workflow.name, identity) if experiment else None


def begun(listed: Execution) -> datetime | None:
    """Return when an execution began, as `status.lastExecution.startTime` has it; None where Testkube does not say."""
    time = listed.scheduled_at or listed.started_at
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).replace(microsecond=0)


def choose(
    listed: Listed, before: Listed | None, since: datetime, ended: Collection[str] = ()
) -> list[ExecutionTarget]:
    """Return what is to be followed, the oldest first.

    `before` is what the last poll saw, None where this is the first one, and `since` is how far back this one has
    looked. `ended` are the IDs of the workflows that have followed an execution to its end.
    """
    news = [each for each in listed.values() if _is_news(each, before, ended)]
    vanished = (each for id_, each in (before or {}).items() if id_ not in listed and not each.finished)
    news += (each for each in vanished if each.begun is None or each.begun >= since)
    return [each.execution for each in sorted(news, key=_age)]


def _is_news(each: Sighting, before: Listed | None, ended: Collection[str]) -> bool:
    earlier = (before or {}).get(each.execution.id)
    is_known = earlier is not None and earlier.status == each.status
    return not (is_known or _is_told(each) or (each.finished and each.execution.workflow_id in ended))


def _is_told(each: Sighting) -> bool:
    """Tell whether the status has this very state already and, once it has ended, how it was judged."""
    last = each.last
    return (
        last is not None
        and (last.execution_id, last.status) == (each.execution.id, each.status)
        and (last.verdict is not None or not each.finished)
    )


def next_look(listed: Iterable[Sighting], since: datetime, now: datetime) -> datetime:
    """Return how far back the next poll has to look: to the newest of this one, and to what has yet to end.

    `now` only bounds what a clock that is ahead may claim.
    """
    known = [(each.begun, each.finished) for each in listed if each.begun]
    if not known:
        return since
    newest = min(max(time for time, _ in known), now)
    oldest = min((time for time, finished in known if not finished), default=newest)
    return min(newest - MARGIN, max(oldest, newest - LONGEST_WATCHED))


def by_id(seen: Iterable[Sighting]) -> Listed:
    return {each.execution.id: each for each in seen}


def _age(each: Sighting) -> datetime:
    return each.begun or datetime.max.replace(tzinfo=UTC)


def _experiment_of(workflow: ObjectRef, live: Object, find: Find, options: Options) -> Object | None:
    """Find the Experiment for which this very TestWorkflow was made, under the name that it has."""
    owner = experiment_of(live)
    if owner is None or not is_original(live) or placement(*owner, options).test_workflow != workflow:
        return None
    experiment = find(ObjectRef(EXPERIMENT, *owner))
    uid = (live["metadata"].get("labels") or {}).get(UID_LABEL)
    return experiment if experiment and experiment["metadata"]["uid"] == uid else None


def _target(experiment: Object) -> Target:
    meta = experiment["metadata"]
    return Target(meta["namespace"], meta["name"], meta["uid"])
