"""Evaluate, abort, reconcile: offered to who may, asked back where it costs, and refused to other people's pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.evaluated import Evaluated
from support.people import People

_OURS = {"Sec-Fetch-Site": "same-origin"}


def _path(evaluated: Evaluated, more: str = "") -> str:
    return f"/experiments/{evaluated.target.namespace}/demo{more}"


async def test_an_evaluation_is_asked_back_and_happens_once(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    page = (await http.get(_path(evaluated, "/evaluate"))).text
    assert "1 question," in page
    assert "may cost money" in page
    assert not evaluated.testkube.executions
    (key,) = re.findall(r'name="key" value="([^"]+)"', page)
    form = {"key": key, "reason": "a new prompt"}
    first = await http.post(_path(evaluated, "/evaluate"), data=form, headers=_OURS)
    again = await http.post(_path(evaluated, "/evaluate"), data=form, headers=_OURS)
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["location"] == again.headers["location"]
    assert len(evaluated.testkube.executions) == 1
    shown = await http.get(_path(evaluated, f"/{first.headers['location']}"))
    assert "a new prompt" in shown.text


async def test_one_that_runs_is_aborted(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    execution = evaluated.execution("running")
    where = _path(evaluated, f"/executions/{execution['id']}")
    assert "<button>Abort</button>" in (await http.get(where)).text
    answer = await http.post(f"{where}/abort", headers=_OURS)
    assert answer.status_code == 303, answer.text
    shown = await http.get(httpx.URL(f"http://x{where}/abort").join(answer.headers["location"]).path)
    assert "<button>Abort</button>" not in shown.text
    assert "canceled" in shown.text


async def test_only_who_may_is_offered_anything(
    guarded: httpx.AsyncClient, people: People, evaluated: Evaluated
) -> None:
    await people.add("reader", (evaluated.target.namespace, "get list"))
    await people.add("writer", (evaluated.target.namespace, "get list update"))
    read = (await guarded.get(_path(evaluated), headers=people.headers("reader"))).text
    write = (await guarded.get(_path(evaluated), headers=people.headers("writer"))).text
    for offer in ("Evaluate now", "Reconcile now"):
        assert offer not in read
        assert offer in write
    for more in ("/evaluate", "/reconcile", "/executions/x1/abort"):
        answer = await guarded.post(_path(evaluated, more), headers={**_OURS, **people.headers("reader")})
        assert answer.status_code == 403, more


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
@pytest.mark.parametrize("more", ["/evaluate", "/reconcile", "/executions/x1/abort"])
async def test_forms_of_other_pages_are_refused(
    http: httpx.AsyncClient, evaluated: Evaluated, more: str, headers: dict[str, str]
) -> None:
    answer = await http.post(_path(evaluated, more), headers=headers)
    assert answer.status_code == 403
    assert "own pages" in answer.text
    assert not evaluated.testkube.executions


async def test_a_browser_without_fetch_metadata_says_its_origin(http: httpx.AsyncClient, evaluated: Evaluated) -> None:
    headers = {"Origin": str(http.base_url).rstrip("/")}
    assert (await http.post(_path(evaluated, "/reconcile"), headers=headers)).status_code == 303


async def test_behind_a_proxy_its_name_counts_only_where_that_is_said(
    serve: Callable[..., Any], evaluated: Evaluated
) -> None:
    headers = {"Origin": "https://page.example", "X-Forwarded-Host": "page.example"}
    for behind_proxy, status in ((True, 303), (False, 403)):
        async with serve(behind_proxy=behind_proxy) as http:
            answer = await http.post(_path(evaluated, "/reconcile"), headers=headers)
            assert answer.status_code == status
    async with serve(behind_proxy=True) as http:
        headers["X-Forwarded-Host"] = "page.example, elsewhere.example"
        assert (await http.post(_path(evaluated, "/reconcile"), headers=headers)).status_code == 403
