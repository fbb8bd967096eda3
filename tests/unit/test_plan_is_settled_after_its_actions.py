"""Once a plan is carried out and reported there is nothing left to do, whatever was asked for and whatever is missing.

This is what keeps a settled cluster at rest, and one apply at one run.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.options import Options
from experiments.plan import Plan, plan
from experiments.resources import AGENT, TEST_TRIGGER, TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE
from experiments.snapshot import Snapshot
from kube.objects import ObjectRef
from support.memory import MemoryWorld

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=60)

SCENARIOS = [{"name": "Oslo", "steps": [{"input": "Will it rain?", "metrics": [{"metricName": "a", "threshold": 0}]}]}]
SOURCES: list[dict[str, Any]] = [
    {"scenarios": SCENARIOS},
    {"dataset": {"s3": {"bucket": "0012", "key": "a.json"}}},
    {"dataset": {"url": "https://data.example/a.json"}},
    {"dataset": {"inline": {"scenarios": SCENARIOS, "defaultThreshold": 0}}},
]
FIELDS: dict[str, list[Any]] = {
    "agentRef": [{"name": "agent"}, {"name": "agent", "namespace": "agents"}],
    "aiGatewayRef": [None, {"name": "gateway"}, {"name": "missing"}],
    "llmAsAJudgeModel": [None, "gpt-4o", "1e3"],
    "otlpEndpoint": [None, "http://otel:4318"],
    "env": [None, [], [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://mine"}, {"name": "A"}]],
    "trigger": [None, {"enabled": True}, {"enabled": True, "concurrencyPolicy": "Forbid"}, {"enabled": False}],
    "schedule": [None, {"cron": "0 6 * * *"}, {"cron": "0 0 30 2 *"}],
    "gate": [None, {"enabled": False}, {"enabled": True, "maxFailedMetrics": 2}],
    "suspend": [None, None, None, True],
    "deletionPolicy": [None, "Orphan"],
    "defaultThreshold": [None, 0, 2],
}
SPECS = st.builds(
    lambda source, fields: {"scenarios": None, "dataset": None, **source, **fields},
    st.sampled_from(SOURCES),
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}),
)
A2A = {"protocols": [{"type": "A2A", "port": 9000}]}
AROUND = st.fixed_dictionaries(
    {
        "place": st.sampled_from(["testkube", "tests", "."]),
        "agent": st.sampled_from(
            [None, {"spec": A2A}, {"spec": A2A, "status": {"url": "http://agent:1"}}, {"spec": {"protocols": [{}]}}]
        ),
        "otel": st.sampled_from([None, "", "http://config:4318", "http://{{"]),
        "without": st.sampled_from([None, None, "run-template", "publish-template"]),
        "unserved": st.sampled_from([set(), set(), {AGENT}, {TEST_TRIGGER}, {TEST_WORKFLOW, TEST_WORKFLOW_TEMPLATE}]),
    }
)


def surround(made: Any, around: dict[str, Any]) -> None:
    """Puts there, or takes away, what an Experiment depends on."""
    dependencies = [ref for ref in made.objects if ref.resource in {AGENT, TEST_WORKFLOW_TEMPLATE}]
    for ref in dependencies:
        del made.objects[ref]
    made.options, made.unserved = Options(around["place"]), set(around["unserved"])
    for phase in ("setup", "run", "evaluate", "publish", "visualize"):
        if around["without"] != f"{phase}-template":
            made.template(f"{phase}-template")
    made.template("gate-template", "maxFailedMetrics")
    if around["agent"]:
        made.agent(**around["agent"])
    if around["otel"] is not None:
        made.otel_config(around["otel"])
    made.gateway()


def said(planned: Plan) -> Any:
    """The report without its dates: what was promised before the actions has to hold after them."""
    if planned.report is None:
        return None
    conditions = [(c.type, c.status, c.reason, c.message) for c in planned.report.conditions]
    # An object that is still to be made has no uid yet.
    generated = [resource.model_copy(update={"uid": ""}) for resource in planned.report.generated]
    return conditions, generated, planned.report.agent_url


def assert_settles(made: Any) -> None:
    first = made.plan()
    done = made.settle()
    again = made.plan()
    assert len(done) == len(first.actions)
    assert again.actions == ()
    assert not again.needed
    assert said(again) == said(first)


@PROPERTY
@given(before=st.tuples(SPECS, AROUND), after=st.tuples(SPECS, AROUND))
def test_from_anything_to_anything_and_away(
    world: type[MemoryWorld],
    before: tuple[dict[str, Any], dict[str, Any]],
    after: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    made = world(**before[0])
    surround(made, before[1])
    assert_settles(made)
    made.edit(**after[0])
    surround(made, after[1])
    assert_settles(made)
    made.metadata["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert_settles(made)


@PROPERTY
@given(before=AROUND, after=st.tuples(SPECS, AROUND), seed=st.integers(0, 9))
def test_the_same_snapshot_gives_the_same_plan(
    world: type[MemoryWorld], before: dict[str, Any], after: tuple[dict[str, Any], dict[str, Any]], seed: int
) -> None:
    """Also where a cache and the API server list its objects in another order."""
    made = world(trigger={"enabled": True})
    surround(made, before)
    made.settle()
    made.edit(**after[0])
    surround(made, after[1])
    # Leftovers of several moves, which only a crash in between could leave.
    for ref in [ref for ref in made.objects if made.snapshot().is_own(ref)]:
        copy = {**made.objects[ref], "metadata": {**made.objects[ref]["metadata"], "namespace": "moved"}}
        made.objects[ObjectRef(ref.resource, "moved", ref.name)] = copy
    one = made.snapshot()
    shuffled = random.Random(seed).sample(sorted(one.objects.items(), key=str), len(one.objects))
    first, second = plan(one), plan(Snapshot(made.subject, dict(shuffled), one.unserved))
    assert (first.actions, first.report, first.problems) == (second.actions, second.report, second.problems)
    assert first.cause == second.cause
