"""experiment.json says what the Experiment says, in the spelling that the phases read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from experiments.experiment_json import experiment_json
from experiments.models import ExperimentSpec

STEP = {
    "input": "Will it rain?",
    "reference": {
        "response": "No.",
        "toolCalls": [{"name": "get_weather", "args": {"cityName": "Oslo", "days_ahead": 0, "Unit": None}}],
        "topics": ["weather"],
        "retrievedContexts": ["It is dry."],
    },
    "customValues": {"camelCase": {"innerKey": [1, True, None]}, "snake_case": 0.5},
    "metrics": [{"metricName": "ToolCallAccuracy", "threshold": 0, "parameters": {"strictOrder": False}}],
}


def written(**spec: Any) -> Any:
    return json.loads(experiment_json(ExperimentSpec.model_validate({"agentRef": {"name": "agent"}, **spec})))


def steps(*given: Any) -> list[Any]:
    found: list[Any] = written(scenarios=[{"name": "Oslo", "steps": list(given)}])["scenarios"][0]["steps"]
    return found


def test_fields_are_in_snake_case_and_free_form_keys_as_written() -> None:
    assert steps(STEP) == [
        {
            "input": "Will it rain?",
            "reference": {
                "response": "No.",
                "tool_calls": [{"name": "get_weather", "args": {"cityName": "Oslo", "days_ahead": 0, "Unit": None}}],
                "topics": ["weather"],
                "retrieved_contexts": ["It is dry."],
            },
            "custom_values": {"camelCase": {"innerKey": [1, True, None]}, "snake_case": 0.5},
            "metrics": [{"metric_name": "ToolCallAccuracy", "threshold": 0, "parameters": {"strictOrder": False}}],
        }
    ]


def test_what_is_not_set_is_left_out() -> None:
    assert steps({"input": "Hi"}) == [{"input": "Hi"}]
    assert "llm_as_a_judge_model" not in written(scenarios=[{"name": "Oslo", "steps": [STEP]}])


@pytest.mark.parametrize("call", [{"name": "list_cities"}, {"name": "list_cities", "args": {}}])
def test_a_tool_call_without_arguments_has_empty_ones(call: dict[str, Any]) -> None:
    """The phases refuse the whole file where a tool call has none at all."""
    (step,) = steps({"input": "Where?", "reference": {"toolCalls": [call]}})
    assert step["reference"]["tool_calls"] == [{"name": "list_cities", "args": {}}]


def test_what_is_set_to_nothing_stays() -> None:
    empty = {
        "input": "Hi",
        "reference": {"response": "", "toolCalls": [], "topics": []},
        "customValues": {},
        "metrics": [],
    }
    assert steps(empty) == [
        {
            "input": "Hi",
            "reference": {"response": "", "tool_calls": [], "topics": []},
            "custom_values": {},
            "metrics": [],
        }
    ]


def test_a_threshold_of_zero_is_a_threshold() -> None:
    scenarios = [{"name": "Oslo", "steps": [STEP]}]
    assert written(scenarios=scenarios, defaultThreshold=0)["default_threshold"] == 0
    assert written(dataset={"inline": {"scenarios": scenarios, "defaultThreshold": 0}})["default_threshold"] == 0
    assert steps(STEP)[0]["metrics"][0]["threshold"] == 0


def test_the_default_threshold_and_the_judge_are_said() -> None:
    found = written(scenarios=[{"name": "Oslo", "steps": [STEP]}], llmAsAJudgeModel="gpt-4o")
    assert (found["default_threshold"], found["llm_as_a_judge_model"]) == (0.9, "gpt-4o")


@pytest.mark.parametrize(
    ("inline", "around", "expected"),
    [
        ({}, {}, (0.9, None)),
        ({}, {"defaultThreshold": 0.2, "llmAsAJudgeModel": "outer"}, (0.2, "outer")),
        (
            {"defaultThreshold": 0.3, "llmAsAJudgeModel": "inner"},
            {"defaultThreshold": 0.2, "llmAsAJudgeModel": "outer"},
            (0.3, "inner"),
        ),
    ],
)
def test_both_generations_of_the_api_give_the_same_file(
    inline: dict[str, Any], around: dict[str, Any], expected: tuple[float, str | None]
) -> None:
    scenarios = [{"name": "Oslo", "steps": [STEP]}]
    older = written(dataset={"inline": {"scenarios": scenarios, **inline}}, **around)
    threshold, model = expected
    newer = written(scenarios=scenarios, defaultThreshold=threshold, **({"llmAsAJudgeModel": model} if model else {}))
    assert older == newer


def test_texts_may_hold_what_testkube_would_evaluate_elsewhere() -> None:
    assert steps({"input": "{{ execution.id }} {{"}) == [{"input": "{{ execution.id }} {{"}]


def test_other_letters_stay_readable() -> None:
    spec = {"agentRef": {"name": "agent"}, "scenarios": [{"name": "Ålesund", "steps": [{"input": "雨?"}]}]}
    text = experiment_json(ExperimentSpec.model_validate(spec))
    assert '"name": "Ålesund"' in text
    assert '"input": "雨?"' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("source", [{"s3": {"bucket": "b", "key": "k"}}, {"url": "https://data.example/a.json"}])
def test_the_file_of_a_dataset_is_a_placeholder(source: dict[str, Any]) -> None:
    found = written(dataset=source, llmAsAJudgeModel="gpt-4o")
    assert found == {"llm_as_a_judge_model": "gpt-4o", "default_threshold": 0.9, "scenarios": []}
