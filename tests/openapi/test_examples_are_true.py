"""Every operation of the OpenAPI document is described, with examples that are like what the api takes and says."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import chain
from typing import Any

import httpx
import pytest
import schemathesis
import yaml

_PROBLEM = "application/problem+json"
# What is in these is the user's, or depends on what has happened.
_FREE = {"spec", "labels", "counts", "byMetric", "tags", "args"}


@pytest.fixture(scope="session")
def examples(resolve):
    """`examples(content)`: those of one media type of an answer."""

    def find(content: dict[str, Any]) -> list[Any]:
        several = [resolve(each)["value"] for each in content.get("examples", {}).values()]
        return [content["example"]] if "example" in content else several

    return find


def test_every_operation_is_described(operations):
    missing = []
    for each in operations:
        missing += [f"{each}: {what}" for what in ("operationId", "summary") if not each.content.get(what)]
        errors = set() if each.content["tags"] == ["Health"] else {"401", "422", "503"}
        missing += [f"{each}: {status}" for status in errors - each.content["responses"].keys()]
        for parameter in each.parameters("path", "query", "header"):
            # A cursor is only what an answer has given out.
            shown = "examples" in parameter["schema"] or parameter["name"] == "cursor"
            missing += [] if shown and parameter["description"] else [f"{each}: {parameter['name']}"]
    assert missing == []
    ids = [each.content["operationId"] for each in operations]
    assert len(ids) == len(set(ids)) >= 22


def test_every_answer_has_an_example_that_its_schema_allows(document, operations, examples):
    schema, missing = schemathesis.openapi.from_dict(document), []
    for each in operations:
        method = each.method.upper()
        for status, answer in each.content["responses"].items():
            contents = answer.get("content", {})
            missing += [] if contents or status == "304" else [f"{each}: {status}"]
            for media, content in contents.items():
                missing += [] if {"schema", "itemSchema"} & content.keys() else [f"{each}: schema of {media}"]
                shown = examples(content)
                missing += [] if shown else [f"{each}: example of {status} as {media}"]
                for example in shown:
                    text = json.dumps(example) if media.endswith("json") else example
                    request = httpx.Request(method, f"http://api{each.path}")
                    sent = {
                        name: it["schema"].get("examples", ["any"]) for name, it in answer.get("headers", {}).items()
                    }
                    headers = {"Content-Type": media, **{name: shown[0] for name, shown in sent.items()}}
                    said = httpx.Response(int(status), headers=headers, text=text, request=request)
                    said.elapsed = timedelta()
                    schema[each.path][method].validate_response(said)
    assert missing == []


async def test_every_answer_is_like_its_example(operations, call, examples):
    different = []
    for each in operations:
        # Without `wait`, what a POST asks for is still to be done.
        waits = each.content["operationId"] in {"reconcile", "execute"}
        options = {"params": {"wait": "30s"}} if waits else {}
        for media, content in each.success["content"].items():
            answer = await call(each, headers={"Accept": media}, **options)
            assert answer.status_code == (200 if "200" in each.content["responses"] else 202), str(each)
            assert media in {answer.headers["content-type"].split(";")[0], "*/*"}, str(each)
            for example in examples(content):
                different += _differences(_read(media, example), _read(media, answer.text), str(each))
    assert different == []


async def test_every_parameter_takes_its_example(operations, call):
    refused = []
    for each in operations:
        for parameter in each.parameters("query", "header"):
            where = {"query": "params", "header": "headers"}[parameter["in"]]
            for example in parameter["schema"].get("examples", []):
                text = example if isinstance(example, str) else json.dumps(example)
                answer = await call(each, **{where: {parameter["name"]: text}})
                refused += [] if answer.is_success else [f"{each}: {parameter['name']}: {answer.text}"]
    assert refused == []


async def test_every_problem_is_like_its_example(api, operations):
    prefix = "/api/v1/namespaces/default/experiments"
    real = {
        "404": await api.get(f"{prefix}/none"),
        "409": await api.get(f"{prefix}/waiting/manifests"),
        "413": await api.post("/api/v1/plan", content=b"#" * (3 * 1024 * 1024 + 1)),
        "422": await api.get("/api/v1/experiments", params={"limit": 0}),
    }
    assert [str(answer.status_code) for answer in real.values()] == list(real)
    for each in operations:
        for status, answer in each.content["responses"].items():
            if _PROBLEM in answer.get("content", {}):
                example, said = answer["content"][_PROBLEM]["example"], real.get(status, real["404"]).json()
                assert example["status"] == int(status)
                assert _differences(example, said, str(each)) == []
                # There are several of this one.
                assert status not in real or status == "409" or example["type"] == said["type"]


def _read(media: str, body: Any) -> Any:
    """Whatever form it has. Of a stream, the data of each event by its name; a change is like an addition."""
    if media == "application/yaml":
        return list(yaml.safe_load_all(body))
    if media == "text/event-stream":
        events = [dict(line.partition(": ")[::2] for line in event.splitlines()) for event in body.split("\n\n")]
        names = {"changed": "added"}
        return [{names.get(e["event"], e["event"]): json.loads(e["data"])} for e in events if "event" in e]
    return json.loads(body) if isinstance(body, str) else body


def _differences(example: Any, real: Any, where: str) -> list[str]:
    """Fields that one has and the other has not. An item of a list has to be like any of the other's."""
    if isinstance(example, dict) and isinstance(real, dict):
        keys = sorted(example.keys() ^ real.keys())
        common = example.keys() & real.keys() - _FREE
        below = chain.from_iterable(_differences(example[key], real[key], f"{where}.{key}") for key in common)
        return [*([f"{where}: {', '.join(keys)}"] if keys else []), *below]
    if isinstance(example, list) and isinstance(real, list):
        compared = [[_differences(item, each, f"{where}[]") for each in real] for item in example]
        return list(chain.from_iterable(min(each, key=len) for each in compared if each))
    alike = None in (example, real) or type(example) is type(real)
    return [] if alike else [f"{where}: {example!r} is not like {real!r}"]
