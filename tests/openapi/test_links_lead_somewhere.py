"""A client that follows the links of the OpenAPI document gets from each answer to what it is about."""

from __future__ import annotations

import re
from typing import Any

import httpx

_PATH = re.compile(r"/namespaces/(?P<namespace>[^/]+)/experiments/(?P<name>[^/]+)(/executions/(?P<execution>[^/]+))?")


async def test_every_link_can_be_followed(api, operations, resolve, call):
    targets = {each.content["operationId"]: each for each in operations}
    followed = []
    for each in operations:
        # `weather` first: of the others one or the other has no run.
        options = {"params": {"q": "weather", "sort": "-name"}} if each.content["tags"] == ["Experiments"] else {}
        answer = await call(each, **options)
        for reference in each.content["responses"][str(answer.status_code)].get("links", {}).values():
            link = resolve(reference)
            target = targets[link["operationId"]]
            values = {name: _evaluate(rule, answer) for name, rule in link["parameters"].items()}
            assert values.keys() == {parameter["name"] for parameter in target.parameters("path")}
            async with api.stream(target.method, target.path.format(**values)) as led:
                assert led.is_success, f"{each} -> {target}: {await led.aread()!r}"
            followed.append(target)
    linked = {str(target) for target in followed}
    assert {str(each) for each in operations if each.parameters("path")} - linked == {
        "GET /api/v1/namespaces/{namespace}/experiments"
    }


def _evaluate(rule: str, answer: httpx.Response) -> str:
    """A runtime expression of OpenAPI, as far as the document uses them."""
    kind, _, where = rule.partition("#/")
    if not where:
        found = _PATH.search(answer.request.url.path)
        return found[kind.rpartition(".")[2]] if found else ""
    value: Any = answer.json()
    for part in where.split("/"):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)
