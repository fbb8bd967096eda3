"""Whoever asks for one execution learns how it went, phase by phase, what was answered, and how that was judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from kube.objects import Object
from support.evaluated import Evaluated, scores
from support.polling import until

_RECORDINGS = Path(__file__).parents[1] / "testkube_api" / "recordings"


async def _shown(api: httpx.AsyncClient, execution: Object, status: int = 200) -> dict[str, Any]:
    answer = await api.get(f"/executions/{execution['id']}")
    assert answer.status_code == status, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_phases_answers_and_scores(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    """Of a file that the real phases have written."""
    recorded = json.loads((_RECORDINGS / "artifact-evaluated-scores.json").read_text())["json"]
    execution = evaluated.execution("running", tags={"commit": "0f3d5a1", "experiment-operator-reason": "a new prompt"})
    evaluated.testkube.set_phases(execution, {"run": "passed", "evaluate": "passed", "publish": "running"})
    evaluated.testkube.upload(execution, recorded)
    evaluated.testkube.upload(execution, b"<p>charts", "data/results/evaluation_report.html")
    evaluated.testkube.set_status(execution, "failed")
    await evaluated.judge(execution)

    shown = await _shown(api, execution)
    assert [(phase["name"], phase["status"]) for phase in shown["phases"]][:3] == [
        ("run", "passed"), ("evaluate", "passed"), ("publish", "running"),
    ]  # fmt: skip
    assert shown["phases"][0]["durationSeconds"] is not None
    assert (shown["reason"], shown["tags"]) == ("a new prompt", {"commit": "0f3d5a1"})
    assert shown["scoresFrom"] == "artifact"
    scenario, original = shown["scenarios"][0], recorded["scenarios"][0]
    step, evaluation = scenario["steps"][0], original["steps"][0]["evaluations"][1]
    assert (scenario["name"], step["input"]) == (original["name"], original["steps"][0]["input"])
    assert [turn["type"] for turn in step["turns"]] == [turn["type"] for turn in original["steps"][0]["turns"]]
    assert step["turns"][1]["toolCalls"] == original["steps"][0]["turns"][1]["tool_calls"]
    judged = step["metrics"][1]
    assert judged["metric"] == evaluation["metric"]["metric_name"]
    assert judged["threshold"] == evaluation["metric"]["threshold"]
    assert json.loads(judged["variant"]) == evaluation["metric"]["parameters"]
    assert shown["metrics"]["total"] == sum(len(s["metrics"]) for each in shown["scenarios"] for s in each["steps"])
    own = f"/api/v1/namespaces/{evaluated.target.namespace}/experiments/demo/executions/{execution['id']}"
    assert shown["links"]["report"] == f"{own}/artifacts/data/results/evaluation_report.html"
    assert {each["link"] for each in shown["artifacts"]} >= {shown["links"]["report"]}
    assert shown["links"]["self"] == own


async def test_what_testkube_has_forgotten_is_told_from_temporal(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0, 0.3, None)
    before = await _shown(api, execution)
    evaluated.testkube.executions.clear()
    shown = await _shown(api, execution)
    kept = ("verdict", "message", "metrics", "byMetric", "startTime", "endTime", "executionNumber", "summary")
    assert {field: shown[field] for field in kept} == {field: before[field] for field in kept}
    assert (before["scoresFrom"], shown["scoresFrom"]) == ("artifact", "temporal")
    (step,) = shown["scenarios"][0]["steps"]
    assert step["metrics"] == before["scenarios"][0]["steps"][0]["metrics"]
    assert (step["input"], step["turns"], shown["phases"], shown["artifacts"]) == (None, [], [], [])


async def test_one_that_passed_is_told_from_temporal_too(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0)
    evaluated.testkube.trouble = "away"
    shown = await _shown(api, execution)
    assert (shown["verdict"], shown["message"], shown["scoresFrom"]) == ("Passed", "1 metric passed.", "temporal")
    assert shown["unavailable"][0].startswith("Testkube does not answer")


async def test_one_that_nobody_has_followed_is_judged_by_its_scores(
    api: httpx.AsyncClient, evaluated: Evaluated
) -> None:
    execution = evaluated.scored(1.0, 0.3)
    shown = await _shown(api, execution)
    assert (shown["verdict"], shown["summary"], shown["links"]["temporal"]) == ("Failed", "Failed 1/2", None)


async def test_while_it_runs_there_is_no_verdict(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.execution("running")
    evaluated.testkube.upload(execution, scores(1.0))
    shown = await _shown(api, execution)
    assert (shown["status"], shown["verdict"], shown["endTime"]) == ("running", None, None)
    assert shown["scenarios"][0]["steps"][0]["metrics"][0]["score"] == 1.0


async def test_one_that_could_not_begin_says_why(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.execution("aborted")
    execution["result"]["initialization"] |= {"status": "aborted", "errorMessage": "Cannot fetch required Templates"}
    await evaluated.judge(execution)
    shown = await _shown(api, execution)
    assert (shown["verdict"], shown["error"]) == ("NotEvaluated", "Cannot fetch required Templates")


async def test_answers_that_make_no_sense_are_shown_as_far_as_they_do(
    api: httpx.AsyncClient, evaluated: Evaluated
) -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = {"a": deep}
    execution = evaluated.scored(1.0)
    document = scores(1.0)
    (step,) = document["scenarios"][0]["steps"]
    calls = [{"name": "look\ud800", "args": {"deep": deep, "odd": float("nan")}}, "what?", {"args": 3}]
    step["turns"] = [{"type": "agent", "content": "half \ud83d of a face", "tool_calls": calls}, None, {"content": 7}]
    evaluated.testkube.upload(execution, document)
    shown = (await _shown(api, execution))["scenarios"][0]["steps"][0]
    assert shown["turns"][0]["content"] == "half ? of a face"
    assert [call["name"] for call in shown["turns"][0]["toolCalls"]] == ["look?", ""]
    assert shown["turns"][1]["content"] == "7"


async def test_of_an_earlier_experiment_of_the_name_all_is_there(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0)
    await evaluated.world.kube.delete(evaluated.world.ref(), uid=evaluated.target.uid)
    evaluated.testkube.executions.clear()
    await until(lambda: api.get("/plan"), lambda answer: answer.status_code == 404)
    assert (await _shown(api, execution))["uid"] == evaluated.target.uid


async def test_one_that_is_not_there_is_a_404(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    missing = {"id": "0" * 24}
    assert (await _shown(api, missing, 404))["type"].endswith(":NotFound")
    execution = evaluated.execution("running")
    assert (await _shown(api, {"id": execution["name"].replace(".", "-")}, 404))["status"] == 404
    evaluated.testkube.trouble = "away"
    assert (await _shown(api, missing, 503))["type"].endswith(":TestkubeUnavailable")


async def test_while_temporal_is_away_testkube_tells(
    serve: Callable[..., Any], evaluated: Evaluated, temporal_away: Client
) -> None:
    execution = evaluated.scored(0.5)
    async with serve(temporal_away) as api:
        shown = await _shown(api, execution)
    assert (shown["verdict"], len(shown["unavailable"])) == ("Failed", 1)


async def test_unchanged_it_is_sent_once(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0)
    tag = (await api.get(f"/executions/{execution['id']}")).headers["ETag"]
    again = await api.get(f"/executions/{execution['id']}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
