"""The key of the judge's API arrives from the Experiment's environment; where there is none, a placeholder does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

GATEWAY = {"name": "ai-gateway"}
SECRET = {"valueFrom": {"secretKeyRef": {"name": "judge", "key": "api-key"}}}
VALUES = {"judge": {"api-key": "from-a-secret"}}
STEP = {
    "input": "How cold does it get tonight in Hintertupfing?",
    "reference": {"response": "I have no forecast for Hintertupfing."},
    "metrics": [{"metricName": "FactualCorrectness"}],
}
SCENARIOS = [{"name": "A town that is not known", "steps": [STEP]}]


def keys(testkube: Any) -> set[str]:
    """With which the judge was asked."""
    return {
        request.headers["authorization"].removeprefix("Bearer ") for request in testkube.network.asked("ai-gateway")
    }


def env(**variable: Any) -> list[dict[str, Any]]:
    return [{"name": "OPENAI_API_KEY", **variable}]


@pytest.mark.parametrize("of_upstream", [False, True], ids=["our templates", "upstream's templates"])
def test_the_judge_gets_a_key_that_is_written_down(
    testkube: Any, sample: Any, upstream: Path, of_upstream: bool
) -> None:
    experiment = sample("scenarios", aiGatewayRef=GATEWAY, scenarios=SCENARIOS, env=env(value="written-down"))
    run = testkube.run(experiment, templates=upstream if of_upstream else None, until="evaluate")
    assert run.evaluations == [("FactualCorrectness", "pass", 1.0)], run.output
    assert keys(testkube) == {"written-down"}


@pytest.mark.parametrize(
    ("values", "expected"), [(VALUES, "from-a-secret"), ({}, "unused")], ids=["there", "missing and optional"]
)
def test_our_templates_take_it_from_a_secret(testkube: Any, sample: Any, values: Any, expected: str) -> None:
    experiment = sample("scenarios", aiGatewayRef=GATEWAY, scenarios=SCENARIOS, env=env(**SECRET))
    run = testkube.run(experiment, values=values, until="evaluate")
    assert run.evaluations == [("FactualCorrectness", "pass", 1.0)], run.output
    assert keys(testkube) == {expected}


def test_upstreams_templates_do_not(testkube: Any, sample: Any, upstream: Path) -> None:
    """The reason for the warning about it: the phase passes, and every metric is an error."""
    experiment = sample("scenarios", aiGatewayRef=GATEWAY, scenarios=SCENARIOS, env=env(**SECRET))
    run = testkube.run(experiment, templates=upstream, values=VALUES, until="evaluate")
    assert run.codes == {"run": 0, "evaluate": 0}, run.output
    assert run.evaluations == [("FactualCorrectness", "fail", None)]


def test_the_experiments_own_address_of_the_api_wins(testkube: Any, sample: Any) -> None:
    testkube.network.services["models"] = testkube.network.services["ai-gateway"]
    own = [{"name": "OPENAI_BASE_URL", "value": "http://models.ml.svc.cluster.local:8080"}, *env(value="own")]
    run = testkube.run(sample("scenarios", aiGatewayRef=GATEWAY, scenarios=SCENARIOS, env=own), until="evaluate")
    assert run.evaluations == [("FactualCorrectness", "pass", 1.0)], run.output
    assert testkube.network.asked("models")
    assert not testkube.network.asked("ai-gateway")


def test_upstreams_templates_have_no_address_of_their_own(testkube: Any, sample: Any, upstream: Path) -> None:
    """The reason for the warning about it: without a gateway the phase passes, and every metric is an error."""
    experiment = sample("scenarios", scenarios=SCENARIOS, env=env(value="written-down"))
    run = testkube.run(experiment, templates=upstream, until="evaluate")
    assert run.codes == {"run": 0, "evaluate": 0}, run.output
    assert run.evaluations == [("FactualCorrectness", "fail", None)]
    assert not testkube.network.asked("ai-gateway")
