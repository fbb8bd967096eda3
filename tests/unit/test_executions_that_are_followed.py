"""Each execution of an Experiment is followed, and asked about once more when the list has news of it; no other is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from experiments.contract import Target
from experiments.executions import followed_workflow_id
from experiments.names import EXPERIMENT_ANNOTATION, OBJECT_ANNOTATION, UID_LABEL
from experiments.options import Options
from experiments.resources import EXPERIMENT, TEST_WORKFLOW
from kube.objects import Object, ObjectRef
from testkube.executions import Execution
from watcher.choice import Listed, begun, by_id, choose, execution_in, next_look, sighting

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOT_YET = "0001-01-01T00:00:00Z"
WORKFLOW = "demo-workflow.default"
MARKS: dict[str, Any] = {
    "labels": {UID_LABEL: "uid-1"},
    "annotations": {EXPERIMENT_ANNOTATION: "default/demo", OBJECT_ANNOTATION: f"testkube/{WORKFLOW}"},
}


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def execution(identity: str, status: str, minutes: float | None = 0, **workflow: Any) -> Execution:
    """One as a list has it, which began so many minutes after noon."""
    time = NOT_YET if minutes is None else at(minutes)
    ended = time if status in {"passed", "failed", "aborted", "canceled"} else NOT_YET
    return Execution.of(
        {
            "id": identity,
            "number": 1,
            "scheduledAt": time,
            "result": {"status": status, "startedAt": NOT_YET, "finishedAt": ended},
            "workflow": {"name": WORKFLOW, "namespace": "testkube", **MARKS, **workflow},
        }
    )


class Term:
    """One term of a leader, with a cluster in which there is the Experiment `default/demo`, and what it polls."""

    def __init__(self, now: datetime = NOON, **last_execution: Any) -> None:
        meta = {"namespace": "default", "name": "demo", "uid": "uid-1", "generation": 1}
        self.experiment: Object = {"metadata": meta, "status": {}}
        self.objects: dict[ObjectRef, Object] = {
            ObjectRef(EXPERIMENT, "default", "demo"): self.experiment,
            ObjectRef(TEST_WORKFLOW, "testkube", WORKFLOW): {
                "metadata": {"namespace": "testkube", "name": WORKFLOW, **MARKS}
            },
        }
        self.now, self.since = now, now - timedelta(days=1)
        self.seen: Listed | None = None
        self.ended: set[str] = set()
        if last_execution:
            self.told(**last_execution)

    def told(self, **last_execution: Any) -> None:
        """Have the status speak of this execution."""
        self.experiment["status"]["lastExecution"] = last_execution

    def poll(self, *listed: Execution) -> list[str]:
        """What is followed of a list, which is given oldest first and comes newest first, up to where it looks."""
        within = [each for each in reversed(listed) if (began := begun(each)) is None or began >= self.since]
        sightings = by_id(filter(None, (sighting(each, self.objects.get, Options()) for each in within)))
        chosen = choose(sightings, self.seen, self.since, self.ended)
        self.since, self.seen = next_look(sightings.values(), self.since, self.now), sightings
        return [each.id for each in chosen]


def test_the_oldest_is_first() -> None:
    assert Term().poll(execution("a", "failed", 0), execution("b", "passed", 1), execution("c", "running", 2)) == [
        "a",
        "b",
        "c",
    ]


def test_what_the_list_says_again_is_not_asked_about_again() -> None:
    term = Term()
    term.poll(execution("a", "running"))
    assert term.poll(execution("a", "running")) == []


@pytest.mark.parametrize("end", ["passed", "failed", "aborted", "canceled", "exploded"])
def test_another_state_is_news_also_one_that_nobody_knows(end: str) -> None:
    term = Term()
    term.poll(execution("a", "running"))
    assert term.poll(execution("a", end)) == ["a"]
    assert term.poll(execution("a", end)) == []


def test_what_the_status_says_is_no_news() -> None:
    assert Term(executionId="a", startTime=at(0), status="running").poll(execution("a", "running")) == []
    judged = Term(executionId="a", startTime=at(0), status="passed", verdict="Failed")
    assert judged.poll(execution("a", "passed")) == []


def test_an_end_without_a_verdict_is_not_the_end() -> None:
    assert Term(executionId="a", startTime=at(0), status="passed").poll(execution("a", "passed")) == ["a"]


def test_a_new_leader_asks_about_nothing_that_others_have_followed_to_its_end() -> None:
    term = Term(executionId="last", startTime=at(0), status="passed", verdict="Passed")
    settled = [execution(f"old-{n}", "passed", n) for n in range(-100, -10)]
    term.ended = {followed_workflow_id(Target("default", "demo", "uid-1"), each.id) for each in settled}
    term.ended.add(followed_workflow_id(Target("default", "other", "uid-1"), "later"))
    assert term.poll(*settled, execution("last", "passed", 0), execution("later", "passed", 5)) == ["later"]


def test_a_new_leader_finds_what_nobody_has_seen_however_much_older_it_is() -> None:
    """The last one in the status was begun by this service, while no watcher ran."""
    term = Term(executionId="last", startTime=at(0), status="passed", verdict="Passed")
    unseen = [execution("unseen", "failed", -300), execution("too", "canceled", -2)]
    assert term.poll(*unseen, execution("last", "passed", 0)) == ["unseen", "too"]


def test_a_new_leader_looks_after_what_still_runs() -> None:
    term = Term(executionId="last", startTime=at(0), status="passed", verdict="Passed")
    assert term.poll(execution("slow", "running", -40), execution("last", "passed", 0)) == ["slow"]


def test_an_older_one_that_shows_up_later_is_followed_too() -> None:
    term = Term()
    term.poll(execution("a", "passed", 0), execution("c", "passed", 2))
    term.told(executionId="c", startTime=at(2), status="passed", verdict="Passed")
    assert term.poll(execution("a", "passed", 0), execution("b", "failed", 1), execution("c", "passed", 2)) == ["b"]


def test_after_an_absence_of_testkube_all_are_found() -> None:
    term = Term()
    term.poll(execution("before", "passed", 0))
    missed = [execution(str(n), "passed", n) for n in range(1, 200)]
    term.told(executionId="199", startTime=at(199), status="running")
    term.now = NOON + timedelta(minutes=200)
    assert term.poll(execution("before", "passed", 0), *missed) == [str(n) for n in range(1, 200)]


def test_one_that_runs_long_is_still_watched() -> None:
    term = Term(now=NOON + timedelta(minutes=45))
    short = [execution(str(n), "passed", n) for n in range(1, 45)]
    term.poll(execution("long", "running", 0), *short)
    assert term.poll(execution("long", "canceled", 0), *short) == ["long"]


def test_one_that_hangs_for_ever_does_not_have_all_listed_for_ever() -> None:
    term = Term(now=NOON + timedelta(days=1))
    term.poll(execution("hangs", "running", 10), execution("new", "passed", 24 * 60))
    assert term.since >= NOON + timedelta(hours=22)


def test_what_vanishes_before_its_end_is_looked_for_once() -> None:
    term = Term()
    term.poll(execution("a", "running", 0), execution("b", "passed", 1))
    assert term.poll(execution("b", "passed", 1)) == ["a"]
    assert term.poll(execution("b", "passed", 1)) == []
    assert term.poll() == [], "of one that has ended, all is known"


def test_numbers_that_begin_again_do_not_matter() -> None:
    """As after a deletion by Testkube's own API: all of them are number 1 here."""
    last = {"executionId": "a", "executionNumber": 17, "startTime": at(0), "status": "passed", "verdict": "Passed"}
    assert Term(**last).poll(execution("a", "passed", 0), execution("b", "assigned", 1)) == ["b"]


def test_without_a_time_it_is_followed_and_counts_as_the_newest() -> None:
    term = Term()
    assert term.poll(execution("a", "running", 1), execution("none", "assigned", None)) == ["a", "none"]
    assert term.poll(execution("a", "running", 1), execution("none", "assigned", None)) == []


def test_a_clock_that_is_ahead_hides_nothing() -> None:
    term = Term()
    term.poll(execution("a", "running", 0), execution("tomorrow", "passed", 24 * 60))
    assert term.poll(execution("a", "passed", 0), execution("b", "running", 1)) == ["a", "b"]


def test_testkubes_clock_may_be_another() -> None:
    """Behind ours by hours, its executions still are no older than one another."""
    term = Term(now=NOON + timedelta(hours=5))
    term.poll(execution("a", "passed", 0))
    assert term.poll(execution("a", "passed", 0), execution("b", "running", 1)) == ["b"]


@pytest.mark.parametrize(
    "workflow",
    [
        {"name": "copy-of-demo-workflow.default"},
        {"name": "demo-workflow"},
        {"labels": {UID_LABEL: "uid-of-an-earlier-one"}},
        {"labels": {}},
        {"annotations": {}},
        {"annotations": {EXPERIMENT_ANNOTATION: "default/other"}},
        {"annotations": {EXPERIMENT_ANNOTATION: "demo"}},
        {"name": "sleeper", "labels": None, "annotations": None},
    ],
    ids=str,
)
def test_executions_of_others_and_of_copies_are_left_alone(workflow: dict[str, Any]) -> None:
    assert Term().poll(execution("a", "running", 0, **workflow)) == []


def test_an_id_that_is_none_is_left_alone() -> None:
    assert Term().poll(execution("a/b", "running"), execution("c", "running")) == ["c"]


def event(reason: str = "start-testworkflow", message: str = "executionId=6b07", name: str = WORKFLOW) -> Object:
    of = {"kind": "TestWorkflow", "name": name, "namespace": "testkube"}
    return {"reason": reason, "message": message, "involvedObject": of}


@pytest.mark.parametrize(
    "reason",
    [
        "queue-testworkflow",
        "start-testworkflow",
        "end-testworkflow-success",
        "end-testworkflow-failed",
        "end-testworkflow-aborted",
    ],
)
def test_an_event_names_the_execution(reason: str) -> None:
    found = execution_in(event(reason), Term().objects.get, Options())
    assert found is not None
    assert (found.id, found.workflow, found.target.uid) == ("6b07", WORKFLOW, "uid-1")


@pytest.mark.parametrize(
    "heard",
    [
        event(name="sleeper"),
        event(reason="become-testworkflow-up"),
        event(reason="Created"),
        event(message="executionId="),
        event(message="executionId=../../info"),
        event(message="something else"),
        {"message": None, "reason": None},
    ],
    ids=str,
)
def test_events_of_others_and_those_that_make_no_sense_are_left_alone(heard: Object) -> None:
    assert execution_in(heard, Term().objects.get, Options()) is None


def test_the_event_of_a_copy_is_left_alone() -> None:
    term = Term()
    copy = ObjectRef(TEST_WORKFLOW, "testkube", "copy")
    term.objects[copy] = {"metadata": {"namespace": "testkube", "name": "copy", **MARKS}}
    assert execution_in(event(name="copy"), term.objects.get, Options()) is None
    unmarked = {**MARKS, "annotations": {EXPERIMENT_ANNOTATION: "default/demo"}}
    term.objects[copy] = {"metadata": {"namespace": "testkube", "name": "copy", **unmarked}}
    assert execution_in(event(name="copy"), term.objects.get, Options()) is None


def test_the_event_of_an_experiment_that_is_gone_is_left_alone() -> None:
    term = Term()
    term.experiment["metadata"]["uid"] = "uid-2"
    assert execution_in(event(), term.objects.get, Options()) is None
    del term.objects[ObjectRef(EXPERIMENT, "default", "demo")]
    assert execution_in(event(), term.objects.get, Options()) is None
