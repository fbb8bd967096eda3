"""Whatever a single Experiment can tell wrong, `kubectl apply` refuses with a sentence that names the field.

Where the sentence is ours and not the API server's own, the models say the same one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import yaml
from pydantic import ValidationError

from experiments.models import parse, sentences
from localcluster import KubectlError, LocalCluster

Object: TypeAlias = dict[str, Any]

AGENT = {"agentRef": {"name": "weather-agent"}}
STEP = {"input": "Rain?"}
SCENARIOS = {"scenarios": [{"name": "rain", "steps": [STEP]}]}
GOOD = {**AGENT, **SCENARIOS}

LABEL = "must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit"
NAME = (
    "must be a DNS name: lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit"
)
URL = "must be an http:// or https:// URL, in which spaces, quotes, braces and non-ASCII letters are percent-encoded"
EXPRESSION = "must not contain '{{': Testkube would evaluate it"
SOURCES = "exactly one of s3, url and inline must be set"
FROM = "exactly one of configMapKeyRef, secretKeyRef and fieldRef must be set"
EVENT = "must be letters, digits, '-' and '_', beginning with a letter and ending with a letter or digit"
FIELDS = "must be five fields with one space between them: minute, hour, day of month, month, day of week"
FINE = "ranges (1-5), lists (1,3) and steps (*/2) are fine"


def dataset(**source: Any) -> Object:
    return {**AGENT, "dataset": source}


def steps(*of: Object) -> Object:
    return {**AGENT, "scenarios": [{"name": "rain", "steps": [*of]}]}


def metric(**fields: Any) -> Object:
    return steps({**STEP, "metrics": [{"metricName": "recall", **fields}]})


def env(**variable: Any) -> Object:
    return {**GOOD, "env": [variable]}


def secret(**reference: Any) -> Object:
    return env(name="TOKEN", valueFrom={"secretKeyRef": {"name": "tokens", "key": "token", **reference}})


def cron(expression: str) -> Object:
    return {**GOOD, "schedule": {"cron": expression}}


# name: spec, field, sentence
OURS: dict[str, tuple[Object, str, str]] = {
    "no-cases": (AGENT, "spec", "one of scenarios and dataset must be set: it says what the agent is asked"),
    "two-cases": (
        {**GOOD, "dataset": {"url": "http://data/a.json"}},
        "spec",
        "scenarios and dataset must not both be set",
    ),
    "no-source": (dataset(), "spec.dataset", SOURCES),
    "two-sources": (dataset(url="http://data/a.json", s3={"bucket": "b", "key": "k"}), "spec.dataset", SOURCES),
    "all-sources": (
        dataset(url="http://data/a.json", s3={"bucket": "b", "key": "k"}, inline=SCENARIOS),
        "spec.dataset",
        SOURCES,
    ),
    "agent-empty": ({**GOOD, "agentRef": {"name": ""}}, "spec.agentRef.name", LABEL),
    "agent-title": ({**GOOD, "agentRef": {"name": "Weather Agent"}}, "spec.agentRef.name", LABEL),
    "agent-namespace": ({**GOOD, "agentRef": {"name": "a", "namespace": "a.b"}}, "spec.agentRef.namespace", LABEL),
    "agent-expression": ({**GOOD, "agentRef": {"name": "{{ config.agent }}"}}, "spec.agentRef.name", LABEL),
    "gateway-name": ({**GOOD, "aiGatewayRef": {"name": "-gateway"}}, "spec.aiGatewayRef.name", LABEL),
    "url-scheme": (dataset(url="s3://data/a.json"), "spec.dataset.url", URL),
    "url-space": (dataset(url="https://data/a b.json"), "spec.dataset.url", URL),
    "url-expression": (dataset(url="https://data/{{ config.file }}"), "spec.dataset.url", URL),
    "otlp-without-scheme": ({**GOOD, "otlpEndpoint": "otel-collector:4318"}, "spec.otlpEndpoint", URL),
    "otlp-port": ({**GOOD, "otlpEndpoint": "http://otel-collector:otlp"}, "spec.otlpEndpoint", URL),
    "bucket-expression": (dataset(s3={"bucket": "{{b", "key": "k"}), "spec.dataset.s3.bucket", EXPRESSION),
    "key-expression": (dataset(s3={"bucket": "b", "key": "{{ k }}"}), "spec.dataset.s3.key", EXPRESSION),
    "model-expression": ({**GOOD, "llmAsAJudgeModel": "{{ m }}"}, "spec.llmAsAJudgeModel", EXPRESSION),
    "inline-model-expression": (
        dataset(inline={**SCENARIOS, "llmAsAJudgeModel": "{{ m }}"}),
        "spec.dataset.inline.llmAsAJudgeModel",
        EXPRESSION,
    ),
    "env-name": (
        env(name="1ST", value="x"),
        "spec.env[0].name",
        "must be letters, digits, '_', '-' and '.', and must not begin with a digit",
    ),
    "env-open-expression": (
        env(name="RUN", value="{{ execution.id"),
        "spec.env[0].value",
        "has a '{{' without its '}}': Testkube would take it for an expression and fail",
    ),
    "env-twice-valued": (
        env(name="A", value="x", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}}),
        "spec.env[0]",
        "value and valueFrom must not both be set",
    ),
    "env-from-nothing": (env(name="A", valueFrom={}), "spec.env[0].valueFrom", FROM),
    "secret-name": (secret(name="my_secret"), "spec.env[0].valueFrom.secretKeyRef.name", NAME),
    "secret-key": (
        secret(key="a/b"),
        "spec.env[0].valueFrom.secretKeyRef.key",
        "must be letters, digits, '_', '-' and '.'",
    ),
    "event": ({**GOOD, "trigger": {"event": "on push"}}, "spec.trigger.event", EVENT),
    "cron-macro": (cron("@daily"), "spec.schedule.cron", FIELDS),
    "cron-six-fields": (cron("0 0 6 * * 1"), "spec.schedule.cron", FIELDS),
    "cron-minute": (cron("60 * * * *"), "spec.schedule.cron", f"the minute must be * or 0-59; {FINE}"),
    "cron-hour": (cron("0 24 * * *"), "spec.schedule.cron", f"the hour must be * or 0-23; {FINE}"),
    "cron-day": (cron("0 6 32 * *"), "spec.schedule.cron", f"the day of the month must be * or 1-31; {FINE}"),
    "cron-month": (cron("0 6 * 13 *"), "spec.schedule.cron", f"the month must be * or 1-12 or JAN-DEC; {FINE}"),
    "cron-weekday": (
        cron("0 6 * * 7"),
        "spec.schedule.cron",
        f"the day of the week must be * or 0-6 or SUN-SAT; {FINE}",
    ),
    "timezone": (
        {**GOOD, "schedule": {"cron": "0 6 * * *", "timezone": "Central European"}},
        "spec.schedule.timezone",
        "must be a name of the IANA time zone database, like Europe/Berlin or UTC",
    ),
}
SERVERS: dict[str, tuple[Object, str, str]] = {
    "no-agent": (SCENARIOS, "spec.agentRef", "Required value"),
    "no-agent-name": ({**GOOD, "agentRef": {}}, "spec.agentRef.name", "Required value"),
    "no-scenarios": ({**AGENT, "scenarios": []}, "spec.scenarios", "should have at least 1 items"),
    "no-scenario-name": ({**AGENT, "scenarios": [{"steps": [STEP]}]}, "spec.scenarios[0].name", "Required value"),
    "no-steps": (steps(), "spec.scenarios[0].steps", "should have at least 1 items"),
    "no-input": (steps({}), "spec.scenarios[0].steps[0].input", "Required value"),
    "empty-input": (steps({"input": ""}), "spec.scenarios[0].steps[0].input", "should be at least 1 chars long"),
    "no-metric-name": (
        steps({**STEP, "metrics": [{}]}),
        "spec.scenarios[0].steps[0].metrics[0].metricName",
        "Required value",
    ),
    "no-key": (dataset(s3={"bucket": "b"}), "spec.dataset.s3.key", "Required value"),
    "empty-bucket": (
        dataset(s3={"bucket": "", "key": "k"}),
        "spec.dataset.s3.bucket",
        "should be at least 1 chars long",
    ),
    "no-cron": ({**GOOD, "schedule": {"timezone": "UTC"}}, "spec.schedule.cron", "Required value"),
    "threshold-high": ({**GOOD, "defaultThreshold": 1.1}, "spec.defaultThreshold", "should be less than or equal to 1"),
    "threshold-low": (
        {**GOOD, "defaultThreshold": -0.1},
        "spec.defaultThreshold",
        "should be greater than or equal to 0",
    ),
    "threshold-percent": (
        metric(threshold=90),
        "spec.scenarios[0].steps[0].metrics[0].threshold",
        "should be less than or equal to 1",
    ),
    "threshold-text": ({**GOOD, "defaultThreshold": "0.9"}, "spec.defaultThreshold", "must be of type number"),
    "inline-threshold": (
        dataset(inline={**SCENARIOS, "defaultThreshold": 2}),
        "spec.dataset.inline.defaultThreshold",
        "should be less than or equal to 1",
    ),
    "parameters-list": (
        metric(parameters=["precision"]),
        "spec.scenarios[0].steps[0].metrics[0].parameters",
        "must be of type object",
    ),
    "same-scenario": (
        {**AGENT, "scenarios": SCENARIOS["scenarios"] * 2},
        "spec.scenarios[1]",
        'Duplicate value: {"name":"rain"}',
    ),
    "same-inline-scenario": (
        dataset(inline={"scenarios": SCENARIOS["scenarios"] * 2}),
        "spec.dataset.inline.scenarios[1]",
        'Duplicate value: {"name":"rain"}',
    ),
    "same-variable": ({**GOOD, "env": [{"name": "A"}, {"name": "A"}]}, "spec.env[1]", 'Duplicate value: {"name":"A"}'),
    "rollout-patience": (
        {**GOOD, "trigger": {"waitForRollout": {"timeoutSeconds": 3600}}},
        "spec.trigger.waitForRollout.timeoutSeconds",
        "should be less than or equal to 600",
    ),
    "rollout-impatience": (
        {**GOOD, "trigger": {"waitForRollout": {"timeoutSeconds": 0}}},
        "spec.trigger.waitForRollout.timeoutSeconds",
        "should be greater than or equal to 1",
    ),
    "rollout-duration": (
        {**GOOD, "trigger": {"waitForRollout": {"timeoutSeconds": "2m"}}},
        "spec.trigger.waitForRollout.timeoutSeconds",
        "must be of type integer",
    ),
    "policy": (
        {**GOOD, "trigger": {"concurrencyPolicy": "allow"}},
        "spec.trigger.concurrencyPolicy",
        'supported values: "Allow", "Forbid", "Replace"',
    ),
    "long-input": (steps({"input": "x" * 65537}), "spec.scenarios[0].steps[0].input", "may not be more than 65536"),
    "long-agent": ({**GOOD, "agentRef": {"name": "a" * 64}}, "spec.agentRef.name", "may not be more than 63"),
    "many-scenarios": (
        {**AGENT, "scenarios": [{"name": f"s{i}", "steps": [STEP]} for i in range(501)]},
        "spec.scenarios",
        "must have at most 500 items",
    ),
}


def experiment(name: str, spec: Any) -> Object:
    return {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture(scope="module")
async def refusals(cluster: LocalCluster) -> dict[str, str]:
    """What kubectl prints of each when it is given all of them at once."""
    mistakes = {**OURS, **SERVERS}
    manifests = yaml.safe_dump_all(experiment(name, spec) for name, (spec, _, _) in mistakes.items())
    with pytest.raises(KubectlError) as error:
        await cluster.kubectl("apply", "-f", "-", stdin=manifests)
    return dict(re.findall(r'Experiment.testbench.agentic-layer.ai "([^"]+)" is invalid: (.*)', str(error.value)))


@pytest.mark.parametrize("name", [*OURS, *SERVERS])
def test_kubectl_says_what_is_wrong_and_where(refusals: dict[str, str], name: str) -> None:
    _, field, sentence = {**OURS, **SERVERS}[name]
    assert sentence in refusals[name]
    assert re.findall(r"(spec[a-zA-Z.\[\]0-9]*): ", refusals[name]) == [field]  # one mistake, one sentence


async def test_kubectl_names_a_field_that_does_not_exist(cluster: LocalCluster) -> None:
    mistyped = yaml.safe_dump(experiment("mistyped", {**GOOD, "defaultTreshold": 0.5}))
    with pytest.raises(KubectlError, match=r'unknown field "spec.defaultTreshold"'):
        await cluster.kubectl("apply", "-f", "-", stdin=mistyped)


@pytest.mark.parametrize("name", OURS)
def test_the_models_say_it_in_the_same_words(name: str) -> None:
    spec, field, sentence = OURS[name]
    with pytest.raises(ValidationError) as error:
        parse(experiment(name, spec))
    assert sentences(error.value) == [f"{field}: {sentence}"]


def test_an_object_beyond_the_limit_of_a_request_is_refused(offer: Callable[..., Any]) -> None:
    text = "x" * 60_000
    answer = offer(experiment("huge", steps(*[{"input": text}] * 60)))
    assert answer.sentence == "Request entity too large: limit is 3145728"


async def test_what_is_too_large_for_kubectl_to_annotate_applies_server_side(cluster: LocalCluster) -> None:
    large = yaml.safe_dump(experiment("large", steps(*[{"input": "x" * 60_000}] * 10)))
    with pytest.raises(KubectlError, match=r"metadata.annotations: Too long"):
        await cluster.kubectl("apply", "-f", "-", stdin=large)
    await cluster.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=large)


def test_the_smallest_experiment_is_fine(offer: Callable[..., Any]) -> None:
    assert offer(experiment("good", GOOD), strict=True).sentence == ""
