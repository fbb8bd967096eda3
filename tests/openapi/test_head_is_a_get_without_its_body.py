"""Monitors and caches ask by HEAD: every GET answers it with the same status and headers, and sends nothing else."""

from __future__ import annotations

from typing import Any

import httpx


async def test_every_get_answers_head(operations: Any, call: Any) -> None:
    for each in operations:
        if each.method == "get":
            got, head = await call(each), await call(each._replace(method="head"))
            assert (head.status_code, head.text) == (got.status_code, ""), str(each)
            assert _headers(head, streams=each.streams) == _headers(got, streams=each.streams), str(each)


async def test_what_is_not_there_is_not_there_for_head_either(api: httpx.AsyncClient) -> None:
    answer = await api.head("/api/v1/namespaces/default/experiments/none")
    assert (answer.status_code, answer.content) == (404, b"")
    answer = await api.head("/api/v1/plan")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


async def test_head_says_what_is_new(api: httpx.AsyncClient) -> None:
    url = "/api/v1/namespaces/default/experiments/paused"
    tag = (await api.head(url)).headers["ETag"]
    assert (await api.head(url, headers={"If-None-Match": tag})).status_code == 304


def _headers(answer: httpx.Response, *, streams: bool) -> dict[str, str]:
    """Without the time, and without how long a stream was, which nobody knows before."""
    left_out = {"date", "content-length"} if streams else {"date"}
    return {name: value for name, value in answer.headers.items() if name not in left_out}
