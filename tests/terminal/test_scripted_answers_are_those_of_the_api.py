"""The api that tests of the commands write scripts for says what the real one says, field by field."""

from __future__ import annotations

import pytest

from api.executions.schemas import Comparison, ExecutionDetail, ExecutionPage
from support.scripted_api import change, comparison, execution, metric, page, phase, row, step

SCORE = metric("ToolCallF1", 0.42)
BROKEN = metric("ToolCallF1", None, error="no key")
STEP = step("Will it rain?", "It is sunny.", SCORE, BROKEN, error="ERROR: HTTP 503")


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (ExecutionDetail, execution("Errored", ("Rain", [STEP]), phases=[phase("run", "passed", 14.1)])),
        (ExecutionDetail, execution(None)),
        (ExecutionPage, page(row("Failed", (17, 3, 0)), row(None), more="abc", unavailable=["Testkube is away."])[1]),
        (Comparison, comparison(row("Passed"), row("Failed"), change("worse", "Rain", SCORE, BROKEN))),
    ],
    ids=["judged", "running", "list", "comparison"],
)
def test_a_scripted_answer_is_one_that_the_api_could_give(schema, answer):
    assert schema.model_validate(answer).model_dump(mode="json", by_alias=True) == answer
