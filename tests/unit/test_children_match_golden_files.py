"""The children of each mode, whole. After a change that is meant: `UPDATE_GOLDEN=1 make test ARGS=tests/unit`, and read
the difference that Git shows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from experiments.resources import TEST_TRIGGER, TEST_WORKFLOW
from experiments.yaml import write
from kube.objects import CONFIG_MAP
from support.memory import MemoryWorld

GOLDEN = Path(__file__).parent / "golden"
STEP = {
    "input": "Will it rain in Oslo tomorrow?\nAnd in Bergen?",
    "reference": {
        "response": "No. Yes.",
        "toolCalls": [{"name": "get_weather", "args": {"cityName": "Oslo", "day": 1}}],
        "topics": ["weather"],
        "retrievedContexts": ["Oslo: dry. Bergen: {{ rain }}."],
    },
    "customValues": {"sourceId": "0012"},
    "metrics": [{"metricName": "FactualCorrectness", "threshold": 0, "parameters": {"strictMode": True}}],
}
SCENARIOS = [{"name": "Oslo & Bergen", "steps": [STEP, {"input": "Thanks!"}]}]
EVERYTHING = {
    "agentRef": {"name": "agent", "namespace": "agents"},
    "aiGatewayRef": {"name": "gateway"},
    "scenarios": SCENARIOS,
    "llmAsAJudgeModel": "1e3",
    "defaultThreshold": 0.75,
    "otlpEndpoint": "http://otel.monitoring:4318",
    "env": [
        {"name": "RUN", "value": "{{ execution.id }}"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "a", "optional": True}}},
    ],
    "trigger": {"enabled": True, "event": "deployment-image-update", "concurrencyPolicy": "Replace"},
    "schedule": {"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"},
    "gate": {"enabled": True, "maxFailedMetrics": 3},
}
S3 = {"scenarios": None, "dataset": {"s3": {"bucket": "datasets", "key": "2026/weather.json"}}}
URL = {"scenarios": None, "dataset": {"url": "https://data.example/weather.json"}}
OLDER = {
    "scenarios": None,
    "dataset": {"inline": {"llmAsAJudgeModel": "gpt-4o", "defaultThreshold": 0, "scenarios": SCENARIOS}},
    "trigger": {"enabled": True},
}
MODES: dict[str, tuple[str, dict[str, Any]]] = {
    "inline-same-namespace": (".", {"scenarios": SCENARIOS, "trigger": {"enabled": True}}),
    "inline-elsewhere": ("testkube", {"scenarios": SCENARIOS, "trigger": {"enabled": True}}),
    "dataset-s3": ("testkube", S3),
    "dataset-url": ("testkube", URL),
    "dataset-inline": ("testkube", OLDER),
    "everything-set": ("testkube", EVERYTHING),
}


@pytest.mark.parametrize("mode", MODES)
def test_children_are_those_of_the_golden_file(world: type[MemoryWorld], mode: str) -> None:
    place, spec = MODES[mode]
    made = world(place, **spec)
    made.gateway(port=8080)
    if "gate" in spec:
        made.template("gate-template", "maxFailedMetrics")
    made.settle()
    live = [obj for kind in (CONFIG_MAP, TEST_WORKFLOW, TEST_TRIGGER) for obj in made.live(kind)]
    golden = GOLDEN / f"{mode}.yaml"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(write(live), encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == write(live)


def test_every_golden_file_has_its_mode() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {*MODES}
