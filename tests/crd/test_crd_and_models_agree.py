"""The CRD on the real API server and the pydantic models say the same of every Experiment, good or bad.

Of a good one, both make the same of it: defaults, dropped nulls, pruned fields. Of a bad one, both name the field.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crds import experiment_crd
from experiments.models import parse, sentences

Object: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str | int, ...]
Offer: TypeAlias = Callable[..., Any]

# Every field once.
STEP = {
    "input": "What is the weather in Oslo?",
    "reference": {
        "response": "Snow.",
        "toolCalls": [{"name": "get_weather", "args": {"city": "Oslo", "days": None}}],
        "topics": ["weather"],
        "retrievedContexts": ["It snows in Oslo."],
    },
    "customValues": {"Any-Key": [1, None, {"nested": 0.5}]},
    "metrics": [{"metricName": "faithfulness", "threshold": 0.5, "parameters": {"mode": "precision"}}],
}
SCENARIO = {"name": "Oslo", "steps": [STEP]}
COMMON = {
    "agentRef": {"name": "weather-agent", "namespace": "agents"},
    "aiGatewayRef": {"name": "gateway", "namespace": "ai", "apiVersion": "v1alpha1", "kind": "AiGateway"},
    "llmAsAJudgeModel": "gemini-2.5-flash",
    "defaultThreshold": 0.8,
    "otlpEndpoint": "http://otel.monitoring:4318",
    "env": [
        {"name": "RUN", "value": "{{ execution.id }}"},
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a", "optional": True}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "b.pem", "optional": False}}},
        {"name": "C", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
    ],
    "trigger": {
        "enabled": True,
        "event": "created",
        "concurrencyPolicy": "Forbid",
        "waitForRollout": {"enabled": False, "timeoutSeconds": 60},
    },
    "schedule": {"cron": "*/15 8-17 1,15 JAN-jun 1-5", "timezone": "Europe/Berlin"},
    "gate": {"enabled": True, "maxFailedMetrics": 3},
    "suspend": True,
    "deletionPolicy": "Orphan",
}
INLINE = {"llmAsAJudgeModel": "gpt-4o", "defaultThreshold": 0, "scenarios": [SCENARIO]}
FULL: dict[str, Object] = {
    "scenarios": {**COMMON, "scenarios": [SCENARIO]},
    "s3": {"agentRef": {"name": "a"}, "dataset": {"s3": {"bucket": "datasets", "key": "a/b.json"}}},
    "url": {"agentRef": {"name": "a"}, "dataset": {"url": "https://user:pw@[::1]:8443/a%20b.json?c=d#e"}},
    "inline": {"agentRef": {"name": "a"}, "dataset": {"inline": INLINE}},
}

# What people and machines put where it does not belong.
# fmt: off
ODD_VALUES: list[Any] = [None, True, 1, {}, [], [None], [{}]]
LARGEST = 10**30
ODD_NUMBERS = [0, 2, -0.1, 1.0001, 10**15, LARGEST]
FREE_TEXTS = ["", " ", "é😀", "\x00", "{{"]
RULED_TEXTS = [
    *FREE_TEXTS, "a", "A", "-a", "a-", "a.b", "a..b", "a_b", "1", "a b", "a\n", "\na", "é", "a=b", "}}", "{", "{{ a }}",
    "{{ a }} {{", "}}{{", "{{{a}}", "{{ a\n}}", "Allow", "modified", "on_push", "a_", "http://a", "* * * * *", "UTC",
]
URLS = [
    "http://", "HTTP://a", "https://a.b:80/c?d=%20#e", "ftp://a", "http://a b", "http://a:port", "a:80", "http://a.",
    "http://a\n", "http://a/{b}", "http://é.org", "http://a/é", "http://a/'", 'http://a/"', "http://.a", "http://u@a@b",
    "http://[a", "http://a_b", "http://a#b@c", "http://a:123456", "http://[::1]:1", "http://a?b", "http://a/\\",
    "http://a/^", "http://a/`", "http://a/<", "http://a/>", "http://a/|", "http://a/" + "b" * 2039,
    "http://a/" + "b" * 2040,
]
CRONS = [
    "0 6 * * 1-5", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "* * * * *\n", " * * * * *",
    "*/0 * * * *", "*/5,7-9/2 * * * *", "0 0 1 feb SUN", "0 0 1 ſep *", "0 0 1 * ſun", "@daily", "* * * *", "*  * * *",
    "09 08 07 06 05", "1- * * * *", ", * * * *", "* * 32 * *", "* * * Janu *", "* * ? * *", "* * * * * *", "1\t2 3 4 5",
]
ZONES = ["Etc/GMT+1", "America/Argentina/Ushuaia", "Europe/", "/UTC", "../etc", "2UTC", "UTC\n", "Ü"]
# fmt: on
ODD = [*ODD_VALUES, *ODD_NUMBERS, *RULED_TEXTS, *URLS, *CRONS, *ZONES]
THEMES = {"otlpEndpoint": URLS, "url": URLS, "cron": CRONS, "timezone": ZONES}
FREE_FORM = {"args", "customValues", "parameters"}
SCHEMA = yaml.safe_load(experiment_crd())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)
JSON_OBJECT = st.dictionaries(st.text(max_size=8), JSON, max_size=3)
TEXT = st.text(min_size=1, max_size=12)
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)
THRESHOLD = st.floats(0, 1) | st.sampled_from([0, 1])


def lists(items: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, min_size=least, max_size=least + 2)


def parts(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(required, optional=optional)


SCENARIOS = st.lists(
    parts(
        {
            "name": TEXT,
            "steps": lists(
                parts(
                    {"input": TEXT},
                    reference=parts(
                        {},
                        response=st.text(),
                        toolCalls=lists(parts({"name": TEXT}, args=JSON_OBJECT)),
                        topics=lists(st.text()),
                        retrievedContexts=lists(st.text()),
                    ),
                    customValues=JSON_OBJECT,
                    metrics=lists(parts({"metricName": TEXT}, threshold=THRESHOLD, parameters=JSON_OBJECT)),
                ),
                least=1,
            ),
        }
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda scenario: scenario["name"],
)
SOURCE = (
    st.fixed_dictionaries({"scenarios": SCENARIOS})
    | st.sampled_from([{"dataset": FULL[kind]["dataset"]} for kind in ("s3", "url")])
    | parts({"scenarios": SCENARIOS}, llmAsAJudgeModel=st.just("m"), defaultThreshold=THRESHOLD).map(
        lambda inline: {"dataset": {"inline": inline}}
    )
)
SPECS = st.builds(
    lambda rest, source: {**rest, **source},
    parts(
        {"agentRef": parts({"name": LABEL}, namespace=LABEL)},
        **{name: st.just(value) for name, value in COMMON.items() if name != "agentRef"},
    ),
    SOURCE,
)


def paths(part: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in an object below its top."""
    entries = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from paths(value, (*path, key))


def at(spec: Object, path: Path) -> Any:
    for key in path:
        spec = spec[key]  # type: ignore[index]
    return spec


def changed(spec: Object, path: Path, value: Any) -> Object:
    spec = copy.deepcopy(spec)
    at(spec, path[:-1])[path[-1]] = value
    return spec


def without(spec: Object, path: Path) -> Object:
    spec = copy.deepcopy(spec)
    del at(spec, path[:-1])[path[-1]]
    return spec


def resized(items: list[Any], length: int) -> list[Any]:
    """So many of the first item, told apart by their names where they have some."""
    first = items[0]
    return [{**first, "name": f"n{i}"} if isinstance(first, dict) and "name" in first else first for i in range(length)]


@st.composite
def slightly_broken(draw: st.DrawFn) -> Object:
    spec: Object = draw(SPECS)
    for _ in range(draw(st.integers(0, 2))):
        if not spec:
            break
        path = draw(st.sampled_from([*paths(spec)]))
        match draw(st.sampled_from(["drop", "replace", "replace", "repeat", "move"])):
            case "drop":
                spec = without(spec, path)
            case "replace":
                # Where anything may be, the API server makes a float of an integer that is so large.
                odd = [each for each in ODD if each != LARGEST] if FREE_FORM & {*path[:-1]} else ODD
                spec = changed(spec, path, draw(st.sampled_from(odd)))
            case "repeat" if isinstance(at(spec, path), list):
                spec = changed(spec, path, at(spec, path) * 2)
            case "move":
                # The value under another field's name: both of two that exclude each other, or one nobody knows.
                name = draw(st.sampled_from(["scenarios", "dataset", "s3", "url", "inline", "value", "agent_ref"]))
                parent = at(spec, path[:-1])
                if isinstance(parent, dict):
                    spec = changed(spec, (*path[:-1], name), copy.deepcopy(parent[path[-1]]))
    return spec


def experiment(spec: Any) -> Object:
    return {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": spec,
    }


def disagreement(offer: Offer, spec: Any) -> str:
    """What the two say of it where they differ, or nothing."""
    answer = offer(experiment(spec))
    try:
        parsed = parse(experiment(spec)).spec.model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        found = sentences(error)
        named = {sentence.split(": ")[0] for sentence in found}
        if answer.spec is not None:
            return f"only the models refuse it: {found}"
        # Of a list with two items of one name the API server names the second item, the models the list.
        if named & {*answer.fields, *(re.sub(r"\[\d+\]$", "", field) for field in answer.fields)}:
            return ""
        return f"they name different fields: {answer.sentence} / {found}"
    if answer.spec is None:
        return f"only the CRD refuses it: {answer.sentence}"
    return "" if answer.spec == parsed else f"they understand it differently: {answer.spec} / {parsed}"


@given(spec=slightly_broken())
@settings(max_examples=200, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_crd_and_models_agree_on_generated_experiments(offer: Offer, spec: Object) -> None:
    assert disagreement(offer, spec) == ""


def schema_at(path: Path) -> Object:
    node: Object = SCHEMA
    for key in path:
        node = node["items"] if isinstance(key, int) else node["properties"][key]
    return node


def odd_values(part: Any, path: Path) -> list[Any]:
    """Also what lies on either side of a limit, which is counted in characters or items."""
    schema = schema_at(path)
    match part:
        case str():
            most = schema.get("maxLength", 1000)
            texts = RULED_TEXTS if schema.keys() & {"x-kubernetes-validations", "enum"} else FREE_TEXTS
            return [*ODD_VALUES, *texts, "a" * most, "a" * (most + 1), "é" * most, *THEMES.get(str(path[-1]), ())]
        case list():
            return [*ODD_VALUES, *(resized(part, length) for length in (2, schema["maxItems"], schema["maxItems"] + 1))]
        case dict() | bool():
            return [*ODD_VALUES, "a", {"name": "a"}, {"name": ""}]
        case _:
            limits = [schema[limit] + step for limit in ("minimum", "maximum") for step in (-1, 0, 1)]
            return [*ODD_VALUES, *ODD_NUMBERS, *limits, "0.5", 1.0, 1e2]


def places(kind: str) -> Iterator[Path]:
    """Each field of the CRD once: the same one in another item of a list, or in another kind, is no news."""
    seen = set()
    for path in paths(FULL[kind]):
        field = tuple(0 if isinstance(key, int) else key for key in path)
        mine = kind == "scenarios" or (path[0] == "dataset" and len(path) < 5)
        if mine and field not in seen and not FREE_FORM & {*path[:-1]}:
            seen.add(field)
            yield path


@pytest.mark.parametrize("kind", FULL)
def test_crd_and_models_agree_on_each_field_with_each_odd_value(offer: Offer, kind: str) -> None:
    spec = FULL[kind]
    cases = [(path, odd) for path in places(kind) for odd in odd_values(at(spec, path), path)]

    def describe(case: tuple[Path, Any]) -> str:
        path, odd = case
        difference = disagreement(offer, changed(spec, path, odd))
        return difference and f"{path} = {str(odd)[:40]!r}: {difference}"

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(filter(None, pool.map(describe, cases))) == []


@pytest.mark.parametrize("kind", FULL)
def test_crd_and_models_agree_on_each_field_left_out(offer: Offer, kind: str) -> None:
    spec = FULL[kind]
    found = [
        f"{path}: {difference}" for path in paths(spec) if (difference := disagreement(offer, without(spec, path)))
    ]
    assert found == []


@pytest.mark.parametrize("kind", FULL)
def test_crd_and_models_agree_on_fields_spelt_as_in_python(offer: Offer, kind: str) -> None:
    spec = FULL[kind]
    for path in places(kind):
        name = re.sub(r"([A-Z])", r"_\1", str(path[-1])).lower()
        respelt = changed(without(spec, path), (*path[:-1], name), at(spec, path)) if name != str(path[-1]) else spec
        assert disagreement(offer, respelt) == ""


@pytest.mark.parametrize("kind", FULL)
def test_crd_and_models_agree_on_fields_that_do_not_exist(offer: Offer, kind: str) -> None:
    """As kubectl asks, both refuse them; as controllers do, both pass over them. Free-form values may hold any."""
    assert offer(experiment(FULL[kind]), strict=True).spec is not None
    parse(experiment(FULL[kind]), strict=True)
    for path in [(), *paths(FULL[kind])]:
        if not isinstance(at(FULL[kind], path), dict):
            continue
        spec = changed(FULL[kind], (*path, "agent_ref"), {"name": "x"})
        assert disagreement(offer, spec) == ""
        try:
            parse(experiment(spec), strict=True)
            refused = ""
        except ValidationError as error:
            refused = sentences(error)[0].split(": ")[0]
        sentence = offer(experiment(spec), strict=True).sentence
        assert refused in sentence
        assert bool(refused) == bool(sentence)
