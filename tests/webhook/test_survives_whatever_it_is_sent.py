"""Fuzzing: whatever comes in, there is either a whole answer or a 4xx with a sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Path: TypeAlias = tuple[str | int, ...]

# Fixtures of the session do not change between examples, and a run should find what the last one found.
FUZZ = settings(
    deadline=None, database=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck)
)

STEP = {
    "input": "Rain?",
    "reference": {
        "response": "Yes.",
        "toolCalls": [{"name": "forecast", "args": {"city": "Bergen"}}],
        "topics": ["weather"],
        "retrievedContexts": ["It rains."],
    },
    "customValues": {"mood": [1]},
    "metrics": [{"metricName": "recall", "threshold": 0.1, "parameters": {"k": {}}}],
}
SCENARIOS = [{"name": "rain", "steps": [STEP]}]
SPEC = {
    "agentRef": {"name": "weather", "namespace": "default"},
    "aiGatewayRef": {"name": "gateway"},
    "scenarios": SCENARIOS,
    "llmAsAJudgeModel": "gpt",
    "defaultThreshold": 0.5,
    "otlpEndpoint": "http://otel:4318",
    "env": [{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "d", "key": "e"}}}],
    "trigger": {"enabled": True, "event": "modified", "concurrencyPolicy": "Allow"},
    "schedule": {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"},
    "suspend": False,
}
EXPERIMENT = {
    "metadata": {
        "name": "demo",
        "namespace": "default",
        "uid": "u",
        "generation": 2,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {}})},
        "finalizers": ["a/b"],
    },
    "spec": SPEC,
    "status": {
        "conditions": [{"type": "AgentResolved", "status": "True", "reason": "AgentReady", "message": "Agent x"}],
        "generatedResources": [{"kind": "ConfigMap", "name": "demo-experiment.default", "namespace": "testkube"}],
        "agentUrl": "http://weather",
    },
}
DATASET = {key: value for key, value in SPEC.items() if key != "scenarios"} | {
    "dataset": {"inline": {"scenarios": SCENARIOS, "defaultThreshold": 0, "llmAsAJudgeModel": "other"}}
}

NASTY = ["", "{{", "}}", "a/b", "../x", "x" * 300, "\x00", "\u202e", "0 0 31 2 *", "59-0 * * * *", "Europe"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([*NASTY, -1, 10**400, 1e308, 2**63]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    if above:
        yield above
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in below:
        yield from paths(inner, (*above, key))


def put(value: Any, path: Path, new: Any) -> None:
    *way, last = path
    for key in way:
        value = value[key]
    value[last] = new


@st.composite
def broken(draw: st.DrawFn, whole: Any) -> Any:
    """`whole`, with anything in place of one to three of its parts."""
    value = copy.deepcopy(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        put(value, draw(st.sampled_from(list(paths(value)))), draw(VALUES))
    return value


def check(answer: httpx.Response) -> None:
    assert "Traceback" not in answer.text
    if answer.status_code != 200:
        assert answer.status_code == 400
        assert answer.text.startswith(("No JSON of", "No AdmissionReview of"))
        return
    said = answer.json()["response"]
    assert said["uid"]
    assert said["allowed"] is ("status" not in said)
    assert all(len(warning) <= 256 and warning.isprintable() for warning in said.get("warnings", ()))
    if not said["allowed"]:
        assert said["status"]["code"] == 422
        assert all(cause["field"] and cause["message"] for cause in said["status"]["details"]["causes"])


EXPERIMENTS = st.sampled_from([EXPERIMENT, {**EXPERIMENT, "spec": DATASET}])


@FUZZ
@given(new=broken(EXPERIMENTS), old=st.none() | EXPERIMENTS | broken(EXPERIMENTS))
async def test_an_experiment_of_any_shape_is_judged(ask: Any, question: Any, new: Any, old: Any) -> None:
    review = question(new, old if isinstance(old, dict) else None)
    check(await ask(review))


@FUZZ
@given(data=st.data())
async def test_a_review_of_any_shape_is_answered(ask: Any, question: Any, data: st.DataObject) -> None:
    whole = st.just(question(EXPERIMENT, {**EXPERIMENT, "spec": DATASET}))
    check(await ask(json.dumps(data.draw(broken(whole))).encode()))


@FUZZ
@given(cut=st.integers(0, 1500), junk=st.binary(max_size=20), keep=st.integers(0, 1500))
async def test_any_bytes_are_answered(ask: Any, question: Any, cut: int, junk: bytes, keep: int) -> None:
    body = json.dumps(question(EXPERIMENT)).encode()
    check(await ask(body[:cut] + junk + body[cut + keep :]))
