"""What a file of scores comes to: recorded ones, made by the real phases, and such as nobody should have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.evaluation import Counts, compare, read

_RECORDINGS = Path(__file__).parents[1] / "testkube_api" / "recordings"


def _recorded(name: str) -> bytes:
    return json.dumps(json.loads((_RECORDINGS / f"{name}.json").read_text())["json"]).encode()


def _step(*scores: Any, answer: str = "It rains.", **more: Any) -> dict[str, Any]:
    """One with a metric `m0`, `m1`, … per score. None is an error, a string is taken as it is."""

    def evaluation(number: int, score: Any) -> dict[str, Any]:
        result: dict[str, Any] = {"result": "pass" if score == 1.0 else "fail", "score": score}
        if score is None:
            result = {"result": "fail", "details": {"error": "Missing credentials"}}
        return {"metric": {"metric_name": f"m{number}"}, "result": result}

    turns = [{"type": "human", "content": "Rain?"}, {"type": "agent", "content": answer}]
    return {"input": "Rain?", "turns": turns, "evaluations": [*map(evaluation, range(len(scores)), scores)], **more}


def _file(*steps: Any, **more: Any) -> bytes:
    document = {"default_threshold": 0.9, "scenarios": [{"name": "rain", "steps": list(steps)}], **more}
    return json.dumps(document).encode()


def test_scores_of_the_real_phases() -> None:
    found = read(_recorded("artifact-evaluated-scores"))
    assert found.counts.total == len(found.scores) > 0
    first = found.scores[0]
    assert (first.scenario, first.step, first.metric, first.threshold) == ("Umbrella today", 0, "ToolCallAccuracy", 0.9)
    assert found.scores[1].threshold == 0.7  # its own


def test_an_agent_that_did_not_answer_has_not_passed_although_testkube_says_so() -> None:
    found = read(_recorded("agent-down-evaluated"))
    assert found.verdict == "Errored"
    assert found.message.startswith("The agent did not answer in")
    assert "HTTP Error 503" in found.message
    assert found.counts.passed == 0


@pytest.mark.parametrize(
    ("content", "verdict", "counts"),
    [
        (_file(_step(1.0, 1.0)), "Passed", Counts(2, 2, 0, 0)),
        (_file(_step(1.0, 0.3)), "Failed", Counts(2, 1, 1, 0)),
        (_file(_step(1.0, 0.3, None)), "Errored", Counts(3, 1, 1, 1)),
        (_file(_step(1.0), _step(1.0, answer="ERROR: HTTP Error 503")), "Errored", Counts(2, 1, 0, 1)),
        (_file(_step(1.0, float("nan"))), "Errored", Counts(2, 1, 0, 1)),
        (_file(_step(1.0, 1.5)), "Errored", Counts(2, 1, 0, 1)),
        (_file(_step(1.0, "high")), "Errored", Counts(2, 1, 0, 1)),
        (_file(_step(1.0, 10**400)), "Errored", Counts(2, 1, 0, 1)),
        (_file(_step()), "NotEvaluated", Counts()),
        (_file({"input": "Rain?"}), "NotEvaluated", Counts()),
        (_file(_step(1.0), "nonsense", {"evaluations": ["nonsense", {}], "turns": 3}), "Failed", Counts(2, 1, 1, 0)),
        (_file(), "NotEvaluated", Counts()),
        (b"", "NotEvaluated", Counts()),
        (b"\xff\xfe", "NotEvaluated", Counts()),
        (b"[]", "NotEvaluated", Counts()),
        (b'{"scenarios": {}}', "NotEvaluated", Counts()),
        (b"[" * 100_000, "NotEvaluated", Counts()),
    ],
)
def test_every_file_has_a_verdict(content: bytes, verdict: str, counts: Counts) -> None:
    found = read(content)
    assert (found.verdict, found.counts) == (verdict, counts)
    assert found.message.endswith((".", "503")) or found.verdict == "Errored"


def test_the_sentence_names_what_failed() -> None:
    assert read(_file(_step(1.0, 0.3))).message == "1 of 2 metrics failed: m1 of 'rain' (0.30, threshold 0.9)."


def test_means_are_by_metric() -> None:
    assert read(_file(_step(1.0, 0.4), _step(0.5, None))).by_metric == {"m0": 0.75, "m1": 0.4}


def test_the_greatest_harm_comes_first() -> None:
    base = read(_file(_step(1.0, 0.8, 0.5, 0.6, 1.0)))
    head = read(_file(_step(0.3, 0.2, 0.7, 0.6), _step(1.0)))
    changes = compare(base.scores, head.scores)
    assert [(c.step, c.metric, c.effect, c.change and round(c.change, 3)) for c in changes] == [
        (0, "m0", "worse", -0.7),  # passed before
        (0, "m1", "worse", -0.6),
        (0, "m4", "removed", None),
        (1, "m0", "added", None),
        (0, "m3", "same", 0.0),
        (0, "m2", "better", 0.2),
    ]


def test_a_metric_that_stands_twice_is_compared_with_its_like() -> None:
    step = _step(1.0)
    step["evaluations"] *= 2
    assert [change.effect for change in compare(read(_file(step)).scores, read(_file(step)).scores)] == ["same", "same"]
