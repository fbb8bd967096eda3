"""Phases that pass say nothing about the agent: what it is worth is in the evaluated experiment."""

from __future__ import annotations

from typing import Any

from support.standins import Answer

QUESTION = "How cold does it get tonight in Hintertupfing?"
WRONG = Answer("It gets down to 4 degrees.")


def scenario(name: str, **metric: Any) -> dict[str, Any]:
    reference = {"response": "I have no forecast for Hintertupfing."}
    metrics = [{"metricName": "FactualCorrectness", **metric}]
    return {"name": name, "steps": [{"input": QUESTION, "reference": reference, "metrics": metrics}]}


def test_a_wrong_answer_fails_and_the_phases_pass(testkube: Any, sample: Any) -> None:
    testkube.network.services["weather-agent"].answers = {QUESTION: WRONG}
    # A threshold of 0 is one, and not the default.
    scenarios = [scenario("the default's threshold"), scenario("everything is good enough", threshold=0)]
    run = testkube.run(sample("scenarios", aiGatewayRef={"name": "ai-gateway"}, scenarios=scenarios))
    assert run.passed, run.output
    assert run.evaluations == [("FactualCorrectness", "fail", 0.0), ("FactualCorrectness", "pass", 0.0)]


def test_an_agent_that_does_not_answer_fails_and_the_phases_pass(testkube: Any, sample: Any) -> None:
    del testkube.network.services["weather-agent"]
    scenarios = [scenario("nobody there")]
    run = testkube.run(sample("scenarios", aiGatewayRef={"name": "ai-gateway"}, scenarios=scenarios))
    assert run.passed, run.output
    assert run.evaluations == [("FactualCorrectness", "fail", 0.0)]
    (step,) = run.evaluated["scenarios"][0]["steps"]
    assert step["turns"][-1]["content"].startswith("ERROR: ")


def test_a_metric_that_cannot_be_computed_is_an_error_of_its_own(testkube: Any, sample: Any) -> None:
    """One that is unknown, that needs embeddings, that needs retrieved contexts: these phases pass neither on."""
    names = ("Friendliness", "AnswerRelevancy", "Faithfulness")
    greeting = {
        "name": "A greeting, with a tool that takes no arguments",
        "steps": [
            {
                "input": "Hello",
                "reference": {"toolCalls": [{"name": "greet"}], "retrievedContexts": ["People greet."]},
                "metrics": [*({"metricName": name} for name in names), {"metricName": "ToolCallAccuracy"}],
            }
        ],
    }
    testkube.network.services["weather-agent"].answers = {"Hello": Answer("Hello.", "greet", {}, {"said": "hello"})}
    run = testkube.run(sample("scenarios", aiGatewayRef={"name": "ai-gateway"}, scenarios=[greeting]), until="evaluate")
    errors = [(name, "fail", None) for name in names]
    assert run.evaluations == [*errors, ("ToolCallAccuracy", "pass", 1.0)], run.output
