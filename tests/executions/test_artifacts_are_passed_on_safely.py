"""Files that executions leave are got over REST with the caller's own rights, and do nothing in a browser."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.evaluated import Evaluated, scores

_REPORT = "data/results/evaluation_report.html"


@pytest.fixture
def execution(evaluated: Evaluated) -> Any:
    made = evaluated.scored(1.0)
    evaluated.testkube.upload(made, b"<script>document.write(1)</script>", _REPORT)
    return made


async def test_they_are_listed(api: httpx.AsyncClient, evaluated: Evaluated, execution: Any) -> None:
    answer = await api.get(f"/executions/{execution['id']}/artifacts")
    assert answer.status_code == 200
    scored, report = answer.json()["items"]
    stored = evaluated.testkube.artifacts[execution["id"]]
    assert (scored["size"], report["size"]) == (len(stored[scored["path"]]), len(stored[_REPORT]))
    assert scored["contentType"] == "application/json"
    got = await api.get(report["link"].partition("/demo")[2])
    assert got.content == stored[_REPORT]


async def test_without_any_the_list_is_empty(api: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.execution("running")
    assert (await api.get(f"/executions/{execution['id']}/artifacts")).json() == {"items": []}


async def test_html_has_no_origin_and_reaches_nothing(api: httpx.AsyncClient, execution: Any) -> None:
    headers = (await api.get(f"/executions/{execution['id']}/artifacts/{_REPORT}")).headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(each.partition(" ")[::2] for each in headers["Content-Security-Policy"].split("; "))
    assert policy["sandbox"] == "allow-scripts"  # which without allow-same-origin leaves it none
    assert (policy["default-src"], policy["form-action"]) == ("'none'", "'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("path", "kind", "shown"),
    [
        ("a/log.txt", "text/plain; charset=utf-8", "inline"),
        ("junit.xml", "text/plain; charset=utf-8", "inline"),
        ("chart.PNG", "image/png", "inline"),
        ("chart.svg", "application/octet-stream", "attachment"),
        ("page.xhtml", "application/octet-stream", "attachment"),
        ("run.js", "application/octet-stream", "attachment"),
        ("no-ending", "application/octet-stream", "attachment"),
    ],
)
async def test_only_what_does_no_harm_is_shown(
    api: httpx.AsyncClient, evaluated: Evaluated, execution: Any, path: str, kind: str, shown: str
) -> None:
    evaluated.testkube.upload(execution, b"<svg onload='alert(1)'/>", path)
    headers = (await api.get(f"/executions/{execution['id']}/artifacts/{path}")).headers
    assert (headers["Content-Type"], headers["Content-Disposition"].partition(";")[0]) == (kind, shown)
    assert "sandbox" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["data", "data/", "%2e%2e/x", "/etc/passwd", "data%2f..%2fa", "ü"])
async def test_only_what_is_listed_is_asked_for(
    api: httpx.AsyncClient, evaluated: Evaluated, execution: Any, path: str
) -> None:
    answer = await api.get(f"/executions/{execution['id']}/artifacts/{path}")
    assert answer.status_code in {307, 404}
    assert not [each for each in evaluated.testkube.requests if "/artifacts/" in each]


async def test_odd_names_are_quoted(api: httpx.AsyncClient, evaluated: Evaluated, execution: Any) -> None:
    evaluated.testkube.upload(execution, b"x", 'a b/"; x=1?#ü.bin')
    answer = await api.get(f"/executions/{execution['id']}/artifacts/a b/%22; x=1%3F%23ü.bin")
    assert (answer.status_code, answer.content) == (200, b"x")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="___x_1___.bin"'


async def test_what_is_too_large_is_refused_with_a_sentence(
    api: httpx.AsyncClient, evaluated: Evaluated, execution: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.executions.artifacts.MAX_BYTES", 10)
    answer = await api.get(f"/executions/{execution['id']}/artifacts/{_REPORT}")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "ArtifactTooLarge")
    assert evaluated.testkube.requests[-1].endswith("/artifacts")


async def test_answers_too_long_to_be_shown_leave_the_scores(
    api: httpx.AsyncClient, evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.executions.details._MAX_READ_BYTES", 5000)
    execution = evaluated.execution("passed")
    evaluated.testkube.upload(execution, scores(1.0, answer="very " * 5000))
    await evaluated.judge(execution)
    shown = (await api.get(f"/executions/{execution['id']}")).json()
    assert (shown["verdict"], shown["scoresFrom"]) == ("Passed", "temporal")


async def test_while_testkube_is_away_it_is_a_503(api: httpx.AsyncClient, evaluated: Evaluated, execution: Any) -> None:
    await evaluated.judge(execution)
    evaluated.testkube.trouble = "away"
    for path in ("artifacts", f"artifacts/{_REPORT}"):
        answer = await api.get(f"/executions/{execution['id']}/{path}")
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "TestkubeUnavailable")
