"""The gate fails where more metrics failed than may, and says which; whatever it cannot make sense of fails, too.

Its very command line is run, with this Python for the image's. What the published phases write is seen in tests/phases.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from experiments import evaluation as evaluations
from support import steps
from support.clusters import TEMPLATES

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

PASS = {"result": "pass", "score": 0.95}
FAIL = {"result": "fail", "score": 0.3}
ERROR = {"result": "fail", "details": {"error": "no model\n\x1b[2J"}}
ANSWERED = [{"type": "human", "content": "ERROR: is what?"}, {"type": "agent", "content": "An error."}]
UNANSWERED = [{"type": "human", "content": "Rain?"}, {"type": "agent", "content": "ERROR: HTTP Error 503"}]


def evaluation(result: dict[str, Any], name: str = "Faithfulness", **metric: Any) -> dict[str, Any]:
    return {"metric": {"metric_name": name, **metric}, "result": result}


def step(*results: dict[str, Any], turns: Any = ANSWERED) -> dict[str, Any]:
    return {"input": "Rain?", "turns": turns, "evaluations": [evaluation(result) for result in results]}


def evaluated(*of: dict[str, Any]) -> dict[str, Any]:
    return {"default_threshold": 0.9, "scenarios": [{"name": "Oslo", "steps": [*of]}]}


@pytest.fixture
def gate(tmp_path: Path) -> Run:
    """`gate(evaluated, allowed)`: what became of it where the evaluate phase left that; a text is left as it is."""
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\n[ "$1 $2" = "run python3" ] || exit 9\nshift 2\nexec {sys.executable} "$@"\n')
    uv.chmod(0o755)
    template = yaml.safe_load((TEMPLATES / "gate-template.yaml").read_text())

    def run(left: Any, allowed: int | None = None) -> subprocess.CompletedProcess[str]:
        config = {} if allowed is None else {"config": {"maxFailedMetrics": f'{{{{"{allowed}"}}}}'}}
        workflow = {"spec": {"use": [{"name": "gate", **config}]}}
        (found,) = steps.resolve(workflow, {"gate": template}, steps.Execution())
        directory = tmp_path / "data" / "experiments"
        directory.mkdir(parents=True, exist_ok=True)
        text = left if isinstance(left, str) else json.dumps(left)
        (directory / "evaluated_experiment.json").write_text(text)
        machine = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(found.command, cwd=tmp_path, env=machine, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    ("results", "allowed", "code"),
    [
        ([PASS], 0, 0),
        ([PASS, FAIL], 0, 1),
        ([PASS, FAIL], None, 1),
        ([PASS, FAIL], 1, 0),
        ([FAIL, ERROR], 1, 1),
        ([FAIL, ERROR], 2, 0),
        ([FAIL, FAIL, FAIL], 100_000, 0),
        # What does not say that it passed did not.
        ([{"score": 1}], 0, 1),
    ],
)
def test_it_fails_where_more_failed_than_may(
    gate: Run, results: list[dict[str, Any]], allowed: int | None, code: int
) -> None:
    assert gate(evaluated(step(*results)), allowed).returncode == code


def test_it_says_which_failed_and_why(gate: Run) -> None:
    own = {"input": "Snow?", "turns": ANSWERED, "evaluations": [evaluation(FAIL, "Größe", threshold=0.5)]}
    done = gate(evaluated(step(PASS, FAIL), own, step(ERROR), step(PASS, turns=UNANSWERED)), 3)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "failed: 'Oslo', step 1, 'Faithfulness': score 0.3, threshold 0.9",
        "failed: 'Oslo', step 2, 'Größe': score 0.3, threshold 0.5",
        r"failed: 'Oslo', step 3, 'Faithfulness': could not be computed: 'no model\n\x1b[2J'",
        "failed: 'Oslo', step 4, 'Faithfulness': the agent did not answer: 'ERROR: HTTP Error 503'",
        "4 of 5 metrics failed, 3 may.",
    ]


def test_all_metrics_of_a_step_without_an_answer_failed_whatever_their_scores(gate: Run) -> None:
    left = evaluated(step(PASS, PASS, turns=UNANSWERED), step(PASS))
    assert gate(left, 1).returncode == 1
    assert gate(left, 2).returncode == 0


def test_an_error_that_was_not_the_end_is_none(gate: Run) -> None:
    recovered = [*UNANSWERED, {"type": "agent", "content": "Yes, it rains."}]
    assert gate(evaluated(step(PASS, turns=recovered))).returncode == 0


@pytest.mark.parametrize(
    "result",
    [
        PASS,
        FAIL,
        ERROR,
        {**PASS, **ERROR, "result": "pass"},
        {"result": "pass"},
        {"result": "pass", "details": None},
        {"result": "pass", "score": None, "details": {}},
        {"result": "pass", "score": 1.5},
        {"result": "pass", "score": float("nan")},
        {"result": "pass", "score": True},
        {"result": "pass", "score": "1"},
        {"result": "fail"},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("turns", [ANSWERED, UNANSWERED], ids=["answered", "unanswered"])
def test_it_counts_as_the_service_does(gate: Run, result: dict[str, Any], turns: Any) -> None:
    left = evaluated(step(result, turns=turns), step(PASS))
    counts = evaluations.read(json.dumps(left).encode()).counts
    told = gate(left).stdout.splitlines()[-1]
    assert told == f"{counts.failed + counts.errored} of {counts.total} metrics failed, 0 may."


@pytest.mark.parametrize("turns", [None, [], [{"type": "agent"}], [{"type": "agent", "content": None}]])
def test_turns_may_be_left_out(gate: Run, turns: Any) -> None:
    assert gate(evaluated(step(PASS, turns=turns))).returncode == 0


@pytest.mark.parametrize(
    "left", [evaluated(), evaluated({"input": "Hi"}), evaluated({"input": "Hi", "evaluations": None})]
)
def test_where_nothing_was_judged_it_fails(gate: Run, left: dict[str, Any]) -> None:
    done = gate(left, 100_000)
    assert (done.returncode, done.stderr) == (1, "Nothing was judged: no step has an evaluation.\n")


@pytest.mark.parametrize("left", ["", "{}", "[]", json.dumps(evaluated({"evaluations": [{}]}))])
def test_what_makes_no_sense_fails(gate: Run, left: str) -> None:
    assert gate(left, 100_000).returncode == 1


def test_its_program_holds_no_expression() -> None:
    """Testkube would evaluate it before Python sees it."""
    (found,) = yaml.safe_load((TEMPLATES / "gate-template.yaml").read_text())["spec"]["steps"]
    assert [argument for argument in found["run"]["args"] if "{{" in argument] == ["{{ config.maxFailedMetrics }}"]
