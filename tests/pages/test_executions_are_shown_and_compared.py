"""An execution is shown with its phases, scores, answers and report, and two are held against each other."""

from __future__ import annotations

import httpx

from support.evaluated import Evaluated
from support.polling import until


def _path(evaluated: Evaluated, more: str = "") -> str:
    return f"/experiments/{evaluated.target.namespace}/demo/executions{more}"


async def test_phases_scores_answers_and_the_report(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.scored(1.0, 0.3, None)
    evaluated.testkube.set_phases(execution, {"run": "passed", "evaluate": "failed"})
    evaluated.testkube.upload(execution, b"<p>charts", "data/results/evaluation_report.html")
    await evaluated.judge(execution)
    text = (await http.get(_path(evaluated, f"/{execution['id']}"))).text
    assert '<th scope="row">run</th>' in text
    assert ">0.30</td>" in text
    assert ">0.90</td>" in text
    assert "Missing credentials" in text
    assert "It rains." in text
    link = text.partition('<iframe src="')[2].partition('"')[0]
    assert 'sandbox="allow-scripts"' in text
    assert link.startswith("../../../../api/v1/namespaces/")
    report = await http.get(link.removeprefix("../../../.."))
    assert report.text == "<p>charts"
    assert report.headers["content-security-policy"].startswith("sandbox")


async def test_two_are_compared_the_greatest_harm_first(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    base = await evaluated.judged(1.0, 0.92, 0.2, minutes=5)
    head = await evaluated.judged(0.95, 0.1, 0.95)
    answer = await http.get(_path(evaluated, "/compare"), params={"base": base["id"], "head": head["id"]})
    text = answer.text
    assert "2 worse, 1 better" in text
    assert text.index(">m1 ") < text.index(">m0 ") < text.index(">m2 ")
    assert "worse -0.82" in text


async def test_metrics_are_plotted_over_time(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    await evaluated.judged(1.0, 0.3, minutes=5)
    await evaluated.judged(0.5, 0.9)

    async def text() -> str:
        return (await http.get(_path(evaluated))).text

    found = await until(text, lambda text: text.count('type="radio"') == 4 and "0.90" in text)
    assert 'aria-label="m0, the oldest first: 1.00, 0.50"' in found
    assert 'aria-label="m1, the oldest first: 0.30, 0.90"' in found


async def test_one_that_is_not_there(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    assert (await http.get(_path(evaluated, "/nothing"))).status_code == 404
