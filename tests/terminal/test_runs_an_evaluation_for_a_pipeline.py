"""`run` starts one evaluation, follows it, and ends with an exit code that a pipeline can go by."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from experiment_operator.commands import run
from support.scripted_api import ID, execution, metric, phase, step

RAIN = step("Will it rain?", "It is sunny.", metric("ToolCallF1", 0.42), metric("AgentGoal", 0.91))
SUN = step("Is it sunny?", "Yes.", metric("ToolCallF1", 1.0))
ERROR = step("And now?", "ERROR: 503", metric("ToolCallF1", None, error="ERROR: 503"), error="ERROR: 503")
FAILED = execution("Failed", ("Rain", [RAIN]), ("Sun", [SUN]), message="1 of 3 metrics failed: ToolCallF1 of 'Rain'.")
PASSED = execution("Passed", ("Sun", [SUN]), message="1 metric passed.")
ERRORED = execution("Errored", ("Sun", [SUN]), ("Now", [ERROR]), message="The agent did not answer in 1 of 2 steps.")
NOTHING = execution("NotEvaluated", status="aborted", message="It was aborted before there were scores.")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What is typed in this process looks and asks again a tenth as long after."""
    monkeypatch.setattr(run, "_LOOK_EVERY", run._LOOK_EVERY / 10)
    monkeypatch.setattr(run, "_PAUSES", tuple(pause / 10 for pause in run._PAUSES))


async def test_without_wait_it_says_which_was_started(type_at, scripted):
    answer = await type_at("run", "weather", "--reason", "a new judge", "--tag", "commit=1a2b")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[:2] == ["Execution 12 of team/weather was started", f"  ID          {ID}"]
    assert scripted.asked == [{"reason": "a new judge", "tags": {"commit": "1a2b"}}]


async def test_it_follows_phase_by_phase_and_tells_each_score(type_at, scripted):
    begun, half = [phase("run", "running"), phase("evaluate", "queued")], [phase("run", "passed", 14.1)]
    scripted.looks = [(200, execution(None, phases=phases)) for phases in (begun, half)] + [(200, FAILED)]
    answer = await type_at("run", "weather", "--wait")
    assert (answer.code, answer.err) == (1, "")
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    said = [
        "Execution 12 of team/weather was started",
        "execution running",
        "run running",
        "run passed 14.1 s",
        "execution passed 16.0 s",
        "1 of 3 metrics failed: ToolCallF1 of 'Rain'.",
        "Rain 1 of 2 passed",
        "1 Will it rain?",
        "✗ ToolCallF1 0.42, threshold 0.8",
        "✓ AgentGoal 0.91, threshold 0.8",
        "answer: It is sunny.",
        f"report {scripted.url}{FAILED['links']['report']}",
        f"Temporal {FAILED['links']['temporal']}",
    ]
    assert [line for line in lines if line in said] == said


@pytest.mark.parametrize(
    ("looks", "flags", "code"),
    [
        (PASSED, [], 0),
        (FAILED, [], 1),
        (FAILED, ["--allow-failed", "1"], 0),
        (execution("Failed", ("Rain", [RAIN, RAIN])), ["--allow-failed=1"], 1),
        (ERRORED, ["--allow-failed", "9"], 3),
        (NOTHING, ["--allow-failed", "9"], 3),
        (execution(None), ["--timeout", "1s"], 4),
    ],
    ids=["passed", "failed", "as many failed as may", "more failed than may", "errored", "not evaluated", "too late"],
)
async def test_the_exit_code_is_the_verdict(type_at, scripted, looks, flags, code):
    scripted.looks = [(200, looks)]
    assert (await type_at("run", "weather", "--wait", *flags)).code == code


async def test_what_is_too_late_goes_on(type_at, scripted):
    scripted.looks = [(200, execution(None))]
    answer = await type_at("run", "weather", "--wait", "--timeout", "1s")
    assert answer.err == "experiment-operator: Execution 12 has no verdict after 1s, and goes on.\n"


@pytest.mark.parametrize("refusal", [(409, "It is not Ready: AgentNotFound."), (404, "There is no Experiment.")])
async def test_what_is_refused_ends_with_3_and_says_why(type_at, scripted, refusal):
    scripted.starts = [(refusal[0], {"detail": refusal[1]})]
    answer = await type_at("run", "weather", "--wait")
    assert (answer.code, answer.out, answer.err) == (3, "", f"experiment-operator: {refusal[1]}\n")


async def test_what_the_api_calls_wrong_ends_with_2(start_at, scripted):
    scripted.starts = [(422, {"detail": "body.tags: tags that begin with experiment-operator- are this service's."})]
    answer = await start_at("run", "weather", "--wait", "--tag", "experiment-operator-request=1")
    assert (answer.code, answer.out) == (2, "")
    assert "body.tags" in answer.err


async def test_a_request_whose_answer_is_lost_is_repeated_with_its_key(type_at, scripted):
    scripted.starts = [None, *scripted.away(), (200, execution(None))]
    answer = await type_at("run", "weather", "--wait")
    assert answer.code == 0
    assert len(scripted.keys) == 3
    assert len(set(scripted.keys)) == 1


async def test_each_run_has_a_key_of_its_own(type_at, scripted):
    for _ in range(2):
        assert (await type_at("run", "weather")).code == 0
    assert len(set(scripted.keys)) == 2


async def test_an_api_that_is_away_for_a_moment_ends_no_pipeline(type_at, scripted):
    scripted.looks = [(200, execution(None)), None, *scripted.away(), (200, PASSED)]
    answer = await type_at("run", "weather", "--wait")
    assert answer.code == 0
    assert "Temporal does not answer. (again in 0.2 s)" in answer.err


async def test_an_api_that_stays_away_ends_with_3(type_at):
    answer = await type_at("run", "weather", "--wait", "--timeout=1s", "--server", "http://127.0.0.1:1")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.splitlines()[-1].startswith("experiment-operator: http://127.0.0.1:1")


async def test_without_any_kubeconfig_it_ends_with_3(start_at, tmp_path):
    answer = await start_at("run", "weather", EXPERIMENT_OPERATOR_SERVER=None, KUBECONFIG=str(tmp_path / "nothing"))
    assert answer.code == 3
    assert "kubeconfig" in answer.err


async def test_programs_get_one_document_and_progress_beside_it(start_at, scripted):
    scripted.looks = [(200, execution(None, phases=[phase("run", "running")])), (200, FAILED)]
    answer = await start_at("run", "weather", "--wait", "-o", "json")
    assert answer.code == 1
    assert json.loads(answer.out) == FAILED
    assert "  run         running" in answer.err.splitlines()


@pytest.mark.parametrize(
    "flags",
    [
        ["--wait", "--junit", "/nowhere/junit.xml"],
        ["--wait", "--junit", "/dev/null"],
        ["--wait", "--junit", "."],
        ["--junit", "junit.xml"],
        ["--allow-failed", "1"],
        ["--timeout", "10"],
        ["--timeout", "0s"],
        ["--tag", "commit"],
        ["--reason", "two\nlines"],
    ],
    ids=" ".join,
)
async def test_what_is_asked_for_wrongly_starts_nothing(type_at, scripted, flags):
    answer = await type_at("run", "weather", *flags)
    assert (answer.code, answer.out) == (2, "")
    assert f"experiment-operator run: {next(flag for flag in reversed(flags) if flag.startswith('--'))}" in answer.err
    assert scripted.keys == []


@pytest.mark.parametrize(
    ("starts", "looks", "within", "counts"),
    [
        ((202, execution(None)), PASSED, "1m", "1 0 0"),
        ((202, execution(None)), FAILED, "1m", "3 1 0"),
        ((202, execution(None)), ERRORED, "1m", "2 0 1"),
        ((202, execution(None)), NOTHING, "1m", "1 0 1"),
        ((202, execution(None)), execution(None), "1s", "1 0 1"),
        ((409, {"detail": "It is not Ready."}), PASSED, "1m", "1 0 1"),
        ((422, {"detail": "body.tags: too many."}), PASSED, "1m", "1 0 1"),
    ],
    ids=["passed", "failed", "errored", "not evaluated", "too late", "refused", "not understood"],
)
async def test_junit_xml_is_written_whatever_comes_of_it(type_at, scripted, tmp_path, starts, looks, within, counts):
    scripted.starts, scripted.looks = [starts], [(200, looks)]
    file = tmp_path / "out" / "junit.xml"
    file.parent.mkdir()
    file.write_text("of an earlier run")
    await type_at("run", "weather", "--wait", f"--timeout={within}", "--junit", str(file))
    root = ET.parse(file).getroot()
    assert " ".join(root.get(name, "") for name in ("tests", "failures", "errors")) == counts
    assert [each.name for each in file.parent.iterdir()] == ["junit.xml"]
