"""What is no AdmissionReview of an Experiment gets a 4xx with a sentence, and never a stack trace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from api.http.middleware import BodyLimit

MIB = 1024 * 1024
V2 = {"group": "testbench.agentic-layer.ai", "version": "v2", "kind": "Experiment"}
NO_JSON = "No JSON of an AdmissionReview: "
NO_REVIEW = "No AdmissionReview of an Experiment: "


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "EOF while parsing a value"),
        (b"hello", "expected value"),
        (b'{"kind": "AdmissionReview"', "EOF while parsing an object"),
        (b'{"kind": "Admission\xffReview"}', "invalid unicode code point"),
        (b'{"kind": "\\ud800"}', "unexpected end of hex escape"),
        (b"[" * 100_000, "recursion limit exceeded"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "recursion limit exceeded"),
        (b'{"request": ' + b"9" * 5000 + b"}", "number out of range"),
        (b'{"request": NaN}', "expected value"),
    ],
    ids=lambda value: repr(value[:16]) if isinstance(value, bytes) else "",
)
async def test_what_is_no_json_is_a_400(ask: Any, body: bytes, sentence: str) -> None:
    answer = await ask(body)
    assert answer.status_code == 400
    assert answer.text.startswith(f"{NO_JSON}{sentence}")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"{}", b"1e999"])
async def test_what_is_no_review_is_a_400(ask: Any, body: bytes) -> None:
    answer = await ask(body)
    assert answer.status_code == 400
    assert answer.text.startswith(NO_REVIEW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uid": None}, "request.uid"),
        ({"uid": ""}, "request.uid"),
        ({"operation": "PATCH"}, "request.operation"),
        ({"kind": {"group": "", "version": "v1", "kind": "ConfigMap"}}, "request.kind.kind"),
        ({"kind": V2}, "request.kind.version"),
        ({"object": None}, "request: object"),
        ({"object": []}, "request.object"),
        ({"object": {"spec": {}}}, "metadata"),
        ({"object": {"metadata": {"name": "A B"}}}, "metadata: name"),
        ({"oldObject": "text"}, "request.oldObject"),
    ],
    ids=str,
)
async def test_a_review_of_something_else(ask: Any, question: Any, changes: dict[str, Any], field: str) -> None:
    review = question({"metadata": {"name": "demo", "namespace": "default"}, "spec": {}})
    review["request"] |= changes
    answer = await ask(review)
    assert answer.status_code == 400
    assert f"{field}: " in answer.text


async def test_an_earlier_version_of_the_protocol(ask: Any, question: Any) -> None:
    answer = await ask({**question({}), "apiVersion": "admission.k8s.io/v1beta1"})
    assert (answer.status_code, answer.text) == (400, f"{NO_REVIEW}apiVersion: Input should be 'admission.k8s.io/v1'.")


async def test_a_body_over_three_mebibytes_is_not_read_to_its_end(app: ASGIApp) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += MIB
            yield b" " * MIB

    async with httpx.AsyncClient(transport=httpx.ASGITransport(BodyLimit(app)), base_url="https://webhook") as client:
        answer = await client.post("/validate", content=endless())
    assert answer.status_code == 413
    assert answer.text == "A body of more than 3,145,728 bytes is not read."
    assert sent == 4 * MIB


async def test_just_three_mebibytes_are_read(ask: Any, question: Any) -> None:
    review = json.dumps(question({"metadata": {"name": "demo"}})).encode()
    assert (await ask(review.ljust(3 * MIB))).status_code == 200


async def test_an_annotation_that_nobody_can_read(ask: Any, question: Any, sound: Any) -> None:
    """kubectl's copy of what was applied is JSON in JSON, and anybody can write anything there."""
    scenarios = [{"name": "rain", "steps": [{"input": "Rain?", "metrics": [{"metricName": "recall"}]}]}]
    experiment = sound(scenarios=scenarios)
    for text in ('{"a":' * 50_000, "[]", "9" * 5000, "null"):
        experiment["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": text}
        assert (await ask(question(experiment))).json()["response"]["allowed"] is True
