"""What the simulation makes up has the recorded format, is the same again for the same, and says what it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from localcluster.testkube.phases import deployment_of
from localcluster.testkube.scores import evaluated, executed, is_worse, misses, report
from localcluster.testkube.triggers import conditions_hold, event_kinds, is_due

_MADE_HERE = ("id", "trace_id", "turns", "evaluations")


def _experiment(recorded):
    """The experiment.json of which a recorded artifact came."""
    evaluation = recorded("artifact-evaluated-ours-fixed")["json"]
    for scenario in evaluation["scenarios"]:
        for each in (scenario, *scenario["steps"]):
            for key in _MADE_HERE:
                each.pop(key, None)
    return evaluation


@pytest.mark.parametrize(
    ("image", "name"), [("weather-agent:0.1.0", "artifact-evaluated-ours-fixed"), (None, "agent-down-evaluated")]
)
def test_scores_have_the_recorded_format(recorded, image, name):
    made, told = evaluated(executed(_experiment(recorded), "weather", image), image), recorded(name)["json"]
    assert list(made) == list(told)
    for scenario, real in zip(made["scenarios"], told["scenarios"], strict=True):
        assert list(scenario) == list(real)
        assert (scenario["name"], scenario["trace_id"]) == (real["name"], real["trace_id"])
        assert (scenario["id"][:4], len(scenario["id"])) == ("scn_", len(real["id"]))
        for step, real_step in zip(scenario["steps"], real["steps"], strict=True):
            assert list(step) == list(real_step)
            assert (step["id"][:4], len(step["id"])) == ("stp_", len(real_step["id"]))
            assert [(list(turn), turn["type"]) for turn in step["turns"]] == [
                (list(turn), turn["type"]) for turn in real_step["turns"]
            ]
            assert [each["metric"] for each in step["evaluations"]] == [
                each["metric"] for each in real_step["evaluations"]
            ]
            assert all(list(each["result"]) == ["result", "score"] for each in step["evaluations"])
            assert image or step["turns"] == real_step["turns"]


def test_the_same_image_answers_the_same_again_and_another_one_may_be_worse(recorded):
    def scores(image):
        return evaluated(executed(_experiment(recorded), "weather", image), image)

    good, also_good, worse = "weather-agent:0.1.0", "weather-agent:0.2.0", "weather-agent:0.3.0"
    assert scores(good) == scores(good)
    assert [misses(scores(image)) for image in (good, also_good)] == [[], []]
    assert misses(scores(worse))
    assert scores(good) != scores(also_good)
    assert [is_worse(image) for image in (good, also_good, worse)] == [False, False, True]


def test_every_answer_and_the_report_say_that_it_is_a_simulation(recorded):
    made = evaluated(executed(_experiment(recorded), "weather", "agent:1"), "agent:1")
    last = [step["turns"][-1]["content"] for scenario in made["scenarios"] for step in scenario["steps"]]
    assert all("Simulated" in content for content in last)
    assert "This is a simulation" in report(made, "weather", "6b07730dbe3694f655a52ea0")


def test_what_nobody_answered_counts_as_missed_whatever_its_score():
    step = {"input": "Hello?", "metrics": [{"metric_name": "Anything", "threshold": 0}]}
    experiment = {"scenarios": [{"name": "greeting", "steps": [step, {"input": "Thanks!"}]}]}
    made = evaluated(executed(experiment, "weather", None), None)
    assert made["scenarios"][0]["steps"][0]["evaluations"][0]["result"]["result"] == "pass"
    assert misses(made) == ["Anything"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://weather-agent.sample-agents.svc.cluster.local:8000", ("sample-agents", "weather-agent")),
        ("http://weather-agent.sample-agents:8000/a2a", ("sample-agents", "weather-agent")),
        ("https://agent.example.com", None),
        ("http://localhost", None),
        ("", None),
    ],
)
def test_the_deployment_behind_a_url(url, found):
    assert deployment_of(url) == found


def _deployment(**spec):
    containers = [{"name": "agent", "image": spec.pop("image", "agent:1"), **spec.pop("container", {})}]
    meta = {"creationTimestamp": "2026-11-26T10:00:00Z"}
    return {"metadata": meta, "spec": {"replicas": 1, **spec, "template": {"spec": {"containers": containers}}}}


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        (None, _deployment(), {"created"}),
        (_deployment(), None, {"deleted"}),
        (_deployment(), {**_deployment(), "status": {"replicas": 1}}, set()),
        (_deployment(), _deployment(image="agent:2"), {"modified", "deployment-image-update"}),
        (_deployment(), _deployment(replicas=2), {"modified", "deployment-scale-update"}),
        (_deployment(), _deployment(container={"env": [{"name": "A"}]}), {"modified", "deployment-env-update"}),
    ],
)
def test_what_a_change_is_to_triggers(old, new, kinds):
    found = event_kinds(old, new, datetime(2026, 11, 26, 9, tzinfo=UTC))
    assert found - {"deployment-generation-modified"} == kinds
    assert ("modified" in found) == ("deployment-generation-modified" in found)


def test_what_was_there_before_is_not_created():
    assert not event_kinds(None, _deployment(), datetime(2026, 11, 26, 11, tzinfo=UTC))


def test_conditions_hold_by_type_status_reason_and_age():
    now = datetime(2026, 11, 26, 10, 0, 30, tzinfo=UTC)
    found = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    deployment = {"status": {"conditions": [found | {"lastUpdateTime": "2026-11-26T10:00:00Z"}]}}
    assert conditions_hold([found], deployment, now)
    assert conditions_hold([{"type": "Progressing", "status": "True"}], deployment, now)
    assert conditions_hold([found | {"ttl": 60}], deployment, now)
    assert not conditions_hold([found | {"ttl": 10}], deployment, now)
    assert not conditions_hold([found | {"reason": "ReplicaSetUpdated"}], deployment, now)
    assert not conditions_hold([found, {"type": "Available", "status": "True"}], deployment, now)
    assert not conditions_hold([found], None, now)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ({"cron": "0 6 * * *"}, True),
        ({"cron": "0 6 * * *", "timezone": "Europe/Berlin"}, False),
        ({"cron": "0 7 * * *", "timezone": "Europe/Berlin"}, True),
        ({"cron": "nonsense"}, False),
        ({"cron": "0 6 * * *", "timezone": "Nowhere/Land"}, False),
    ],
)
def test_a_schedule_is_due_in_its_time_zone(schedule, due):
    before, after = (datetime(2026, 11, 26, hour, minute, tzinfo=UTC) for hour, minute in ((5, 59), (6, 0)))
    workflow = {"spec": {"events": [{"cronjob": schedule}]}}
    assert is_due(workflow, before, after) is due
    assert not is_due(workflow, after, after.replace(minute=1))
    assert not is_due(json.loads('{"spec": {}}'), before, after)
