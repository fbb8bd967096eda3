"""The page of an Experiment says first what is wrong and what to do, then what happened and what would be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from markupsafe import escape
from temporalio.client import Client

from api.pages.advice import advice
from experiments.conditions import Reason
from kube.caches import Caches
from support.evaluated import Evaluated
from support.people import People
from support.polling import until

_HOSTILE = "<script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


def _path(evaluated: Evaluated, more: str = "") -> str:
    return f"/experiments/{evaluated.target.namespace}/demo{more}"


async def test_what_is_wrong_comes_with_what_to_do(
    http: httpx.AsyncClient, evaluated: Evaluated, caches: Caches
) -> None:
    await evaluated.is_ready("False", "TemplateMissing")
    await until(lambda: "TemplateMissing" in str((caches.get(evaluated.world.ref()) or {}).get("status")))
    text = (await http.get(_path(evaluated))).text
    assert "Ready: TemplateMissing" in text
    assert "<code>kubectl apply -n testkube -f deploy/testkube</code>" in text
    assert text.index("Ready: TemplateMissing") < text.index("What happened")


@pytest.mark.parametrize("reason", Reason)
def test_the_docs_of_each_reason_are_at_hand(reason: Reason) -> None:
    said = advice(reason)
    assert said.startswith("<p>")
    assert "](" not in said


async def test_reconciliations_and_executions_are_one_timeline(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = await evaluated.judged(1.0, 0.3)

    async def text() -> str:
        return (await http.get(_path(evaluated))).text

    found = await until(text, lambda text: "Failed 1/2" in text)
    assert f'executions/{execution["id"]}">Execution' in found
    assert "in Temporal</a>" in found
    answer = await http.post(_path(evaluated, "/reconcile"), headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 303
    assert (await until(text, lambda text: "requested on the page" in text)).count("<li>") >= 2


async def test_children_plan_and_manifests(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    text = (await http.get(_path(evaluated))).text
    assert "TestWorkflow" in text
    assert ">missing</td>" in text
    assert "create TestWorkflow" in text
    yaml = (await http.get(_path(evaluated, "/manifests"))).text
    assert "kind: TestWorkflow" in yaml
    assert "kind: Experiment" in yaml
    assert "managedFields" not in yaml


async def test_whatever_is_away_is_named_and_the_rest_is_shown(
    serve: Callable[..., Any], evaluated: Evaluated, temporal_away: Client
) -> None:
    evaluated.testkube.trouble = "away"
    async with serve(temporal=temporal_away) as http:
        answer = await http.get(_path(evaluated))
        assert answer.status_code == 200
        assert "does not answer" in answer.text
        assert "create TestWorkflow" in answer.text
        answer = await http.get(_path(evaluated, "/executions"))
        assert answer.status_code == 200
        assert "does not answer" in answer.text
    async with serve() as http:
        text = (await http.get(_path(evaluated))).text
        assert "Testkube does not answer" in text


async def test_words_of_others_stay_words(http: httpx.AsyncClient, evaluated: Evaluated, caches: Caches) -> None:
    scenarios = [{"name": _HOSTILE, "steps": [{"input": _HOSTILE}]}]
    await evaluated.world.edit(scenarios=scenarios)
    ready = {"type": "Ready", "status": "False", "reason": "Rejected", "message": _HOSTILE}
    ready["lastTransitionTime"] = "2026-11-26T09:00:00Z"
    ref = evaluated.world.ref()
    await evaluated.world.kube.merge_patch(ref, {"status": {"conditions": [ready]}}, subresource="status")
    await until(lambda: _HOSTILE in str((caches.get(ref) or {}).get("status")) or "alert" in str(caches.get(ref)))
    document = {"default_threshold": 0.9, "scenarios": [_scored(_HOSTILE)]}
    execution = evaluated.execution("passed")
    evaluated.testkube.upload(execution, document)
    await evaluated.judge(execution)
    for more in ("", "/manifests", "/evaluate", "/executions", f"/executions/{execution['id']}"):
        answer = await http.get(_path(evaluated, more))
        assert answer.status_code == 200, answer.text
        assert "<script>alert" not in answer.text, more
        assert "<img src=x" not in answer.text, more
    assert str(escape(_HOSTILE)) in answer.text
    listed = (await http.get("/", params={"q": evaluated.target.namespace})).text
    assert "<img src=x" not in listed
    assert str(escape("<script>alert(1)")) in listed


def _scored(text: str) -> dict[str, Any]:
    turns = [{"type": "human", "content": text}, {"type": "agent", "content": text}]
    evaluations = [{"metric": {"metric_name": text}, "result": {"result": "fail", "score": 0.1}}]
    return {"name": text, "steps": [{"input": text, "turns": turns, "evaluations": evaluations}]}


async def test_only_who_may_get_it_sees_it(guarded: httpx.AsyncClient, people: People, evaluated: Evaluated) -> None:
    await people.add("stranger")
    await people.add("reader", (evaluated.target.namespace, "get list"))
    for more in ("", "/manifests", "/executions", "/executions/x1", "/executions/compare"):
        answer = await guarded.get(_path(evaluated, more), headers=people.headers("stranger"))
        assert answer.status_code == 403, more
        assert "may not get Experiments" in answer.text
    assert (await guarded.get(_path(evaluated), headers=people.headers("reader"))).status_code == 200


async def test_one_that_is_not_there(http: httpx.AsyncClient) -> None:
    answer = await http.get("/experiments/nobody/nothing")
    assert answer.status_code == 404
    assert "There is no Experiment nobody/nothing." in answer.text
