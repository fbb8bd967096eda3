"""With a gate, an execution fails when more metrics failed than may; scores and report are there all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.clusters import TEMPLATES
from support.standins import Answer

GATEWAY = {"name": "ai-gateway"}
WRONG = {"How cold does it get tonight in Hintertupfing?": Answer("It gets down to 4 degrees.")}


def gate(most: int) -> dict[str, Any]:
    return {"enabled": True, "maxFailedMetrics": most}


def test_the_sample_with_a_gate_passes(testkube: Any, sample: Any) -> None:
    run = testkube.run(sample("gate", aiGatewayRef=GATEWAY))
    assert run.passed, run.output
    assert [*run.codes] == ["run", "evaluate", "publish", "visualize", "gate"]
    assert run.finished["gate"].output == "0 of 3 metrics failed, 1 may.\n"


@pytest.mark.parametrize(("most", "code"), [(0, 1), (1, 0)])
def test_a_wrong_answer_is_one_metric_that_failed(testkube: Any, sample: Any, most: int, code: int) -> None:
    testkube.network.services["weather-agent"].answers |= WRONG
    run = testkube.run(sample("gate", aiGatewayRef=GATEWAY, gate=gate(most)))
    assert run.codes == {"run": 0, "evaluate": 0, "publish": 0, "visualize": 0, "gate": code}, run.output
    assert run.finished["gate"].output.splitlines() == [
        "failed: 'A town the weather service does not know', step 1, 'FactualCorrectness': score 0.0, threshold 0.9",
        f"1 of 3 metrics failed, {most} may.",
    ]
    assert "A town the weather service does not know" in run.report


def test_an_agent_that_does_not_answer_fails_each_metric(testkube: Any, sample: Any) -> None:
    del testkube.network.services["weather-agent"]
    run = testkube.run(sample("gate", aiGatewayRef=GATEWAY, gate=gate(2)))
    assert run.codes == {"run": 0, "evaluate": 0, "publish": 0, "visualize": 0, "gate": 1}, run.output
    assert run.finished["gate"].output.count(": the agent did not answer: ") == 3


def test_it_goes_with_upstreams_templates(testkube: Any, sample: Any, upstream: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.yaml"
    both.write_text(f"{upstream.read_text()}\n---\n{(TEMPLATES / 'gate-template.yaml').read_text()}")
    testkube.network.services["weather-agent"].answers |= WRONG
    run = testkube.run(sample("gate", aiGatewayRef=GATEWAY, gate=gate(0)), templates=both)
    assert run.codes == {"run": 0, "evaluate": 0, "publish": 0, "visualize": 0, "gate": 1}, run.output


def test_where_nothing_is_judged_it_fails(testkube: Any, sample: Any) -> None:
    scenarios = [{"name": "small talk", "steps": [{"input": "Hello"}]}]
    run = testkube.run(sample("gate", aiGatewayRef=GATEWAY, scenarios=scenarios, gate=gate(9)))
    assert run.codes["gate"] == 1, run.output
    assert "Nothing was judged" in run.finished["gate"].output
