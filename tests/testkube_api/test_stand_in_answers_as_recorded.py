"""The stand-in that other tests rely on answers as a real Testkube was recorded to, but for the values."""

from __future__ import annotations

import json

import aiohttp
import pytest
from yarl import URL

from localcluster.testkube.events import QUEUED, event
from localcluster.testkube.executions import Phase, end, set_phase, set_phases, set_unable
from support.testkube import PHASES

_WEATHER = "weather-workflow.sample-agents"
# These are not Testkube's own: the workflow's spec, labels and annotations, and tags.
_OTHERS = ("spec", "labels", "annotations", "tags")
_TRIGGER = {"interface": {"type": "internal"}, "actor": {"name": "weather-trigger", "type": "testtrigger"}}
_ABORTED_ID = "6b07730dbe3694f655a52ea0"


def _mixed(testkube, _):
    for status in ["passed"] * 14 + ["failed"] * 3 + ["aborted"] * 12:
        testkube.set_status(testkube.add(_WEATHER, "running"), status)


def _triggered(testkube, _):
    testkube.add(_WEATHER, "aborted", runningContext=_TRIGGER)


def _known(testkube, told):
    testkube.workflows.add(told["request"]["path"].split("/")[3])


def _aborted(testkube, _):
    testkube.add(_WEATHER, "aborted", id=_ABORTED_ID, runningContext=_TRIGGER, tags={"commit": "0123abc"})


def _evaluated(testkube, told):
    """An execution with the recorded artifacts, of the recorded content or size."""
    execution = testkube.add(_WEATHER, "passed", id=told["request"]["path"].split("/")[3])
    answer = told.get("json")
    if isinstance(answer, list):
        for each in answer:
            testkube.upload(execution, b" " * each["size"], each["name"])
    else:
        testkube.upload(execution, answer)


def _logged(testkube, told):
    execution = testkube.add("failer", "failed", id=told["request"]["path"].split("/")[3])
    testkube.logs[execution["id"]] = told["text"]


def _ten(testkube, results):
    """The ten executions that there were when the lists were recorded."""
    for each in reversed(results):
        result, workflow = each["result"], each["workflow"]
        context = {"runningContext": each["runningContext"]} if each["runningContext"]["actor"] else {}
        tags = {"tags": each["tags"]} if "tags" in each else {}
        execution = testkube.add(workflow["name"], labels=workflow["labels"], id=each["id"], **context, **tags)
        testkube.set_status(execution, result["status"])
        execution["scheduledAt"] = each["scheduledAt"]


# Each recording, and what is made true before it is asked for.
RECORDINGS = {
    "info": None,
    "abort-all": lambda testkube, _: testkube.add("sleeper", "running"),
    "abort-all-none": None,
    "abort-all-unknown-workflow": None,
    "abort-single": lambda testkube, _: testkube.add("sleeper", "running", id="6b077a72060a87c94a67f820"),
    "abort-finished": _aborted,
    "abort-unknown": None,
    "executions-running": lambda testkube, _: testkube.add("quick-workflow.sample-agents", "running"),
    "executions-list-unknown-workflow": None,
    "executions-list-page5": _aborted,
    "executions-list-status-bogus": _triggered,
    "executions-mixed-multi": _mixed,
    "execute-unknown-workflow": None,
    "execute-empty-body": _known,
    "execute-tags": _known,
    "execute-named": _known,
    "execute-config-undeclared": _known,
    "execute-running-context": _known,
    "execution-unknown": None,
    "execution-unknown-not-hex": None,
    "execution-aborted-image": _aborted,
    "execution-by-name": _aborted,
    "execution-by-id-wrong-workflow": _aborted,
    "execution-direct": _aborted,
    "execution-direct-by-name": _aborted,
    "workflow-get": _known,
    "workflow-get-unknown": None,
    "tags-patch": _aborted,
    "tags-patch-second": _aborted,
    "tags-patch-unknown": None,
    "artifacts-list-none": _aborted,
    "artifacts-list-unknown-execution": None,
    "gated-artifacts": _evaluated,
    "sleeper-running-artifacts": _evaluated,
    "artifact-evaluated-ours-fixed": _evaluated,
    "artifact-double-escaped": _evaluated,
    "artifact-missing": _aborted,
    "artifact-missing-in-passed": lambda testkube, _: testkube.add(_WEATHER, "passed", id="6b077877060a87c94a67f814"),
    "artifact-unescaped-path": None,
    "logs-none": _aborted,
    "sleeper-running-logs": lambda testkube, _: testkube.add("sleeper", "running", id="6b077a72060a87c94a67f820"),
    "failer-logs": _logged,
}
LISTS = (
    "executions-tagselector",
    "executions-tagselector-key",
    "executions-tagselector-slash",
    "executions-selector-label",
    "executions-selector-none",
    "executions-actortype",
    "executions-actorname",
    "executions-textsearch",
    "executions-startdate-garbage",
    "executions-startdate-future",
    "executions-startdate-rfc3339",
    "executions-startdate-day",
    "executions-status-list",
    "executions-pagesize2-page1",
    "executions-pagesize1000",
    "tags-list",
    "tags-list-workflow",
)


async def _ask(testkube, told):
    asked = told["request"]
    body = asked["body"] if isinstance(asked["body"], str) else json.dumps(asked["body"] or {})
    url = URL(testkube.url + asked["path"], encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.request(asked["method"], url, data=body.encode() or None) as response,
    ):
        text = await response.text()
        return response, json.loads(text) if "json" in told else text


@pytest.mark.parametrize("name", RECORDINGS)
async def test_the_stand_in_answers_as_recorded(testkube, recorded, name):
    told = recorded(name)
    if prepare := RECORDINGS[name]:
        prepare(testkube, told)
    response, answer = await _ask(testkube, told)
    assert response.status == told["status"]
    for header in ("Content-Type", "Transfer-Encoding"):
        assert response.headers.get(header) == told["headers"].get(header)
    if response.status < 400 and isinstance(told.get("json"), dict):
        assert _shape(answer) == _shape(told["json"])
    else:
        assert answer == told.get("json", told.get("text"))


@pytest.mark.parametrize("name", LISTS)
async def test_the_stand_in_finds_as_recorded(testkube, recorded, name):
    """Here the values are the recorded ones, too."""
    told = recorded(name)
    _ten(testkube, recorded("executions-selector-label")["json"]["results"])
    _, answer = await _ask(testkube, told)
    if "results" in told["json"]:
        assert _names(answer) == _names(told["json"])
        assert _shape(answer["results"]) == _shape(told["json"]["results"])
        assert [answer[key] for key in ("totals", "filtered")] == [told["json"][key] for key in ("totals", "filtered")]
    else:
        assert answer == told["json"]


def _names(listed):
    return [each["name"] for each in listed["results"]]


_GATE = Phase("gate")
_PASSED = ("run", "evaluate", "publish", "visualize")


def _so_far(testkube, phases=PHASES, **statuses):
    execution = testkube.add(_WEATHER, "running")
    testkube.set_phases(execution, statuses, phases)
    return execution


def _scheduling(testkube):
    execution = testkube.add(_WEATHER, "scheduling")
    set_phases(execution, PHASES)
    del execution["result"]["steps"]
    return execution


def _waiting_for_its_pod(testkube):
    execution = testkube.add(_WEATHER, "running")
    set_phases(execution, PHASES)
    return execution


def _passed(testkube):
    execution = _so_far(testkube, **dict.fromkeys(_PASSED, "passed"))
    testkube.set_status(execution, "passed")
    return execution


def _held_by_the_gate(testkube):
    execution = _so_far(testkube, (*PHASES, _GATE), **dict.fromkeys(_PASSED, "passed"))
    set_phase(execution, "gate", "failed", exit_code=1)
    testkube.set_status(execution, "failed")
    return execution


def _failed_at_once(testkube):
    execution = _so_far(testkube, **dict.fromkeys(_PASSED[1:], "skipped"))
    set_phase(execution, "run", "failed", exit_code=2)
    testkube.set_status(execution, "failed")
    return execution


def _replaced(testkube):
    execution = _so_far(testkube, run="running")
    end(execution, "aborted")
    return execution


def _canceled(testkube):
    phases = (Phase("first", ("/data/out/*.json",)), Phase("sleep"), Phase("last"))
    execution = _so_far(testkube, phases, first="passed", sleep="running")
    end(execution, "canceled")
    return execution


RUNS = {
    "ours-fixed-assigned": lambda testkube: testkube.add(_WEATHER),
    "gated-starting": lambda testkube: testkube.add(_WEATHER, "starting"),
    "agent-down-scheduling": _scheduling,
    "deleted-before-pod": _waiting_for_its_pod,
    "ours-fixed-running": _waiting_for_its_pod,
    "cron-passed": lambda testkube: _so_far(
        testkube, run="passed", evaluate="passed", publish="passed", visualize="running"
    ),
    "ours-fixed-passed": _passed,
    "gated-failed": _held_by_the_gate,
    "ours-as-is-failed": _failed_at_once,
    "replaced-execution": _replaced,
    "sleeper-aborted": _canceled,
}


@pytest.mark.parametrize("name", RUNS)
async def test_the_stand_in_tells_of_each_phase_as_recorded(testkube, recorded, name):
    told = recorded(name)
    execution = RUNS[name](testkube)
    asked = {"method": "GET", "path": f"/v1/test-workflow-executions/{execution['id']}", "body": None}
    _, answer = await _ask(testkube, told | {"request": asked})
    told["json"]["result"].pop("pauses", None)
    if name == "replaced-execution":
        told["json"]["runningContext"] = answer["runningContext"]
    assert _phases(answer) == _phases(told["json"])
    for known_by_phase in ("signature", "steps"):
        answer["result"].pop(known_by_phase, None), answer.pop(known_by_phase, None)
        told["json"]["result"].pop(known_by_phase, None), told["json"].pop(known_by_phase, None)
    assert _shape(answer) == _shape(told["json"])
    assert answer["result"]["status"] == told["json"]["result"]["status"]


def _phases(execution):
    """Each part of each phase: its name or category, how it stands, and what is said of it."""
    steps = execution["result"].get("steps", {})

    def of(part):
        step = dict(steps.get(part["ref"], {}))
        return (
            {key: part[key] for key in ("name", "category") if key in part},
            {key: step[key] for key in ("status", "exitCode", "errorMessage") if key in step},
            sorted(step),
            [of(child) for child in part.get("children", ())],
        )

    return [of(part) for part in execution.get("signature", ())]


def test_the_event_is_the_recorded_one(recorded):
    told = recorded("k8s-event-queue")
    workflow = {"name": "sleeper", "namespace": "testkube", "labels": {}}
    made = event({"id": "6b077a72060a87c94a67f820", "workflow": workflow}, QUEUED)
    of_this_one = ("eventTime", "firstTimestamp", "lastTimestamp")
    assert {key: value for key, value in made.items() if key not in {"metadata", *of_this_one}} == {
        key: value for key, value in told.items() if key not in {"metadata", *of_this_one}
    }
    assert [len(made[key]) for key in of_this_one] == [len(told[key]) for key in of_this_one]
    assert made["metadata"]["name"].rpartition("testkube-event-")[0] == ""
    assert len(made["metadata"]["name"]) == len(told["metadata"]["name"])


async def test_the_stand_in_starts_an_execution_that_cannot_run_as_recorded(testkube, recorded):
    told = recorded("execute-template-gone")["json"]
    execution = testkube.add(_WEATHER)
    set_unable(execution, told["result"]["initialization"]["errorMessage"])
    assert _shape(execution) == _shape(told)
    for key in ("status", "predictedStatus", "startedAt", "duration", "durationMs"):
        assert execution["result"][key] == told["result"][key]


async def test_totals_are_as_wrong_as_the_real_ones(testkube, recorded):
    """Of 3 that failed and 12 that were aborted, 12."""
    told = recorded("executions-mixed-multi")
    _mixed(testkube, told)
    _, answer = await _ask(testkube, told)
    assert [answer[key] for key in ("totals", "filtered")] == [told["json"][key] for key in ("totals", "filtered")]
    assert [each["result"]["status"] for each in answer["results"]] == ["aborted"] * 3


async def test_what_is_aborted_is_canceled_soon_and_not_at_once(testkube, client):
    execution = testkube.add(_WEATHER, "running")
    await client.abort_all(_WEATHER)
    assert execution["result"]["status"] == "running"
    while await client.executions(_WEATHER, ["running"]):
        pass
    (canceled,) = await client.executions(_WEATHER)
    assert canceled.status == "canceled"
    assert canceled.finished_at


def _shape(value):
    """Keys and types; lists by their first item."""
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items() if key not in _OTHERS}
    if isinstance(value, list):
        return [_shape(each) for each in value[:1]]
    return type(value).__name__
