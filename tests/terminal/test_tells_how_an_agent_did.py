"""`executions` lists evaluations with their verdicts; `scores` shows one by scenario, or what differs from another."""

from __future__ import annotations

import json

import pytest

from support.scripted_api import ID, change, comparison, execution, metric, page, row, step

OTHER = "5550f0c2a1b2c3d4e5f60718"
RUNNING = row(None, number=14, executionId="7750f0c2a1b2c3d4e5f60718")
FAILED = row("Failed", (17, 3, 0), message="3 of 20 metrics failed: ToolCallF1 of 'Rain' (0.42, threshold 0.8).")
PASSED = row("Passed", (20, 0, 0), number=11, executionId=OTHER, startedBy="Trigger", message="20 metrics passed.")
LOST = change("worse", "Rain", metric("ToolCallF1", 0.91), metric("ToolCallF1", 0.42))
LESS = change("worse", "Snow", metric("ToolCallF1", 0.95), metric("ToolCallF1", 0.90))
MORE = change("better", "Sun", metric("ToolCallF1", 0.3), metric("ToolCallF1", 1.0))
BROKEN = change("worse", "Now", metric("AgentGoal", 0.9), metric("AgentGoal", None, error="HTTP 503"))
SAME = change("same", "Fog", metric("ToolCallF1", 1.0), metric("ToolCallF1", 1.0))
NEW = change("added", "Hail", None, metric("ToolCallF1", 1.0))
GONE = change("removed", "Wind", metric("ToolCallF1", 1.0), None)


def _lines(answer):
    return [" ".join(line.split()) for line in answer.out.splitlines()]


async def test_executions_are_a_table_whose_newest_is_the_last(type_at, scripted):
    scripted.pages = [page(RUNNING, FAILED, PASSED)]
    answer = await type_at("executions", "weather")
    assert (answer.code, answer.err) == (0, "")
    assert _lines(answer) == [
        "NUMBER STARTED BY STATUS VERDICT TOOK",
        "11 2026-11-24 03:19:04 Trigger passed Passed 20/20 16 s",
        "12 2026-11-24 03:19:04 Service passed Failed 17/20 16 s",
        FAILED["message"],
        "14 2026-11-24 03:19:04 Service running",
    ]


async def test_a_wide_table_has_the_counts_the_end_and_the_id_as_well(type_at, scripted):
    scripted.pages = [page(RUNNING, FAILED)]
    head, failed, message, running = _lines(await type_at("executions", "weather", "-o", "wide"))
    assert head == "NUMBER STARTED BY STATUS VERDICT TOOK PASSED FAILED ERRORED ENDED ID"
    assert failed == f"12 2026-11-24 03:19:04 Service passed Failed 17/20 16 s 17 3 0 2026-11-24 03:19:20 {ID}"
    assert message == FAILED["message"]
    assert running == f"14 2026-11-24 03:19:04 Service running {RUNNING['executionId']}"


async def test_pages_are_read_until_there_are_as_many_as_asked_for(type_at, scripted):
    scripted.pages = [page(FAILED, more="abc"), page(more="def"), page(FAILED, FAILED, more="ghi")]
    answer = await type_at("executions", "weather", "--limit=2", "--verdict=Failed", "--started-by=Service")
    assert len([line for line in answer.out.splitlines() if "Failed 17/20" in line]) == 2
    assert scripted.queries == [
        "?limit=2&verdict=Failed&startedBy=Service",
        "?cursor=abc&limit=2&verdict=Failed&startedBy=Service",
        "?cursor=def&limit=2&verdict=Failed&startedBy=Service",
    ]


async def test_what_could_not_be_asked_is_told_beside_the_rest(type_at, scripted):
    scripted.pages = [page(PASSED, unavailable=["Testkube does not answer: no connection."])]
    answer = await type_at("executions", "weather")
    assert answer.code == 0
    assert answer.err == "experiment-operator: this is not all: Testkube does not answer: no connection.\n"
    assert "Passed 20/20" in answer.out


async def test_programs_get_the_list_as_the_api_gives_it(type_at, scripted):
    scripted.pages = [page(FAILED, PASSED)]
    answer = await type_at("executions", "weather", "-o", "json")
    assert json.loads(answer.out) == {"items": [FAILED, PASSED], "nextCursor": None, "unavailable": []}


async def test_scores_are_those_of_the_last_that_was_judged(type_at, scripted):
    nothing = row("NotEvaluated", number=13)
    scripted.pages = [page(RUNNING, nothing, FAILED, PASSED)]
    good, bad = metric("AgentGoal", 1.0, None), metric("ToolCallF1", 0.99999, 1.0)
    asked = step("Will it\nrain?", "It is sunny.", good, bad)
    broken = step("And now?", "", metric("AgentGoal", None, error="no key"), error="ERROR: HTTP 503")
    scripted.looks = [(200, execution("Failed", ("Rain", [asked, broken]), ("Talk", [step("Hello", "Hi")])))]
    answer = await type_at("scores", "weather")
    assert (answer.code, answer.err) == (0, "")
    assert scripted.queries == ["?limit=50", f"/{ID}"]
    assert _lines(answer) == [
        "Execution 12 of 2026-11-24 03:19:04, started by Service: Failed 1/3",
        "Rain 1 of 3 passed",
        "1 Will it rain?",
        "✓ AgentGoal 1.00",
        "✗ ToolCallF1 0.99999, threshold 1",
        "answer: It is sunny.",
        "2 And now?",
        "! AgentGoal could not be judged: no key",
        "answer: ERROR: HTTP 503",
        "Talk has no metrics",
        "1 Hello",
    ]


async def test_an_execution_is_named_by_number_or_id(type_at, scripted):
    scripted.pages = [page(RUNNING, more="abc"), page(FAILED, PASSED)]
    for which in ("11", OTHER):
        assert (await type_at("scores", "weather", "--execution", which)).code == 0
    assert scripted.queries == ["?limit=50", "?cursor=abc&limit=50", f"/{OTHER}", f"/{OTHER}"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [([], "None of its executions has been judged."), (["--execution", "9"], "There is no execution 9 of it.")],
    ids=["none was judged", "no such number"],
)
async def test_where_there_are_no_scores_it_says_so(type_at, scripted, flags, said):
    scripted.pages = [page(RUNNING)]
    answer = await type_at("scores", "weather", *flags)
    assert (answer.code, answer.out, answer.err) == (1, "", f"experiment-operator: {said}\n")


async def test_a_comparison_tells_what_differs_as_sorted_by_the_api(type_at, scripted):
    scripted.pages = [page(FAILED, PASSED)]
    scripted.comparisons = [(200, comparison(PASSED, FAILED, LOST, BROKEN, LESS, GONE, NEW, SAME, MORE))]
    answer = await type_at("scores", "weather", "--base", "11")
    assert (answer.code, answer.err) == (0, "")
    assert scripted.queries[-1] == f"/compare?base={OTHER}&head={ID}"
    lines = _lines(answer)
    assert lines[:4] == [
        "Execution 11 of 2026-11-24 03:19:04, started by Trigger: Passed 20/20",
        "Execution 12 of 2026-11-24 03:19:04, started by Service: Failed 17/20",
        FAILED["message"],
        "Since 11: 3 worse, 1 gone, 1 new, 1 better, 1 the same",
    ]
    assert [line for line in lines if line[0] in "✗↓↑+-"] == [
        "✗ Rain, step 1, ToolCallF1: passed 0.91 → failed 0.42 -0.49",
        "✗ Now, step 1, AgentGoal: passed 0.90 → error: HTTP 503",
        "↓ Snow, step 1, ToolCallF1: passed 0.95 → passed 0.90 -0.05",
        "- Wind, step 1, ToolCallF1: passed 1.00 → not there",
        "+ Hail, step 1, ToolCallF1: not there → passed 1.00",
        "↑ Sun, step 1, ToolCallF1: failed 0.30 → passed 1.00 +0.70",
    ]


async def test_what_got_worse_is_red_on_a_terminal(type_at, scripted):
    scripted.comparisons = [(200, comparison(PASSED, FAILED, LOST, LESS, MORE))]
    answer = await type_at("scores", "weather", "--execution", ID, "--base", OTHER, FORCE_COLOR="1", TERM="xterm")
    assert [line[:5] for line in answer.out.splitlines()[-3:]] == ["\033[31m", "\033[33m", "\033[32m"]


async def test_programs_get_the_comparison_as_the_api_gives_it(type_at, scripted):
    scripted.comparisons = [(200, comparison(PASSED, FAILED, LOST, SAME))]
    answer = await type_at("scores", "weather", "--execution", ID, "--base", OTHER, "-o", "json")
    assert json.loads(answer.out) == scripted.comparisons[0][1]
