"""JUnit XML of an evaluation: a suite for each scenario, a case for each metric; never green where none was judged."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_operator.commands.junit import junit
from support.scripted_api import execution, metric, step

ASKED = step("Will it rain?", "It is sunny.", metric("AgentGoal", 0.91), metric("ToolCallF1", 0.42))
TWICE = step("And now?", "No.", metric("Rubric", 0.9), metric("Rubric", 0.2))
BROKEN = step("Hello?", "", metric("AgentGoal", None, error="no key"), error="ERROR: HTTP 503")
SILENT = step("Hello?", "", error="ERROR: HTTP 503")
CHAT = step("Hello!", "Hi!")


def _read(verdict, *scenarios, failure="", **more):
    root = ET.fromstring(junit("team/weather", execution(verdict, *scenarios, **more), failure))
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
        found = {name: sum(case.find(kind) is not None for case in cases) for name, kind in kinds.items()}
        assert {name: int(element.get(name)) for name in kinds} == found
        assert int(element.get("tests")) == len(cases)
    return root


def _cases(root):
    """What each case came to: nothing for passed, else the kind and its message."""
    return {
        (case.get("classname"), case.get("name")): tuple((each.tag, each.get("message")) for each in case)
        for case in root.iter("testcase")
    }


def test_each_metric_of_a_step_is_a_case_of_its_scenario():
    root = _read("Failed", ("Rain", [ASKED, TWICE]), ("Talk", [CHAT]))
    assert [suite.get("name") for suite in root] == ["Rain", "Talk"]
    assert _cases(root) == {
        ("team/weather.Rain", "step 1: AgentGoal"): (),
        ("team/weather.Rain", "step 1: ToolCallF1"): (("failure", "0.42, threshold 0.8"),),
        ("team/weather.Rain", "step 2: Rubric"): (),
        ("team/weather.Rain", "step 2: Rubric (2)"): (("failure", "0.20, threshold 0.8"),),
        ("team/weather.Talk", "step 1"): (("skipped", "It has no metrics."),),
    }
    assert root.get("time") == "16.000"


def test_what_was_asked_and_answered_stands_in_a_failure():
    text = _read("Failed", ("Rain", [ASKED])).find(".//failure").text
    assert text.splitlines() == ["0.42, threshold 0.8", "input: Will it rain?", "answer: It is sunny."]


def test_what_could_not_be_judged_is_an_error():
    assert _cases(_read("Errored", ("Now", [BROKEN, SILENT]))) == {
        ("team/weather.Now", "step 1: AgentGoal"): (("error", "no key"),),
        ("team/weather.Now", "step 2"): (("error", "ERROR: HTTP 503"),),
    }


@pytest.mark.parametrize(
    ("verdict", "scenarios", "failure", "kind"),
    [
        ("NotEvaluated", [], "", "error"),
        ("NotEvaluated", [("Talk", [CHAT])], "", "error"),
        ("Errored", [], "", "error"),
        ("Failed", [], "", "failure"),
        (None, [], "It has no verdict after 10m.", "error"),
        ("Passed", [("Talk", [CHAT])], "", None),
    ],
)
def test_a_verdict_that_no_metric_tells_is_a_case_of_its_own(verdict, scenarios, failure, kind):
    found = _cases(_read(verdict, *scenarios, failure=failure, message="So it was."))
    whole = found.get(("team/weather", "evaluation"))
    assert whole == (((kind, failure or "So it was."),) if kind else None)


def test_one_that_has_passed_is_never_empty():
    """Its scores may be out of reach, and some readers take no cases for a failure."""
    assert _cases(_read("Passed")) == {("team/weather", "evaluation"): ()}


def test_where_there_is_no_execution_the_reason_is_the_one_case():
    root = ET.fromstring(junit("team/weather", None, "It is not Ready."))
    assert _cases(root) == {("team/weather", "evaluation"): (("error", "It is not Ready."),)}


@given(st.text(), st.text(), st.text())
def test_whatever_is_said_it_stays_xml(name, asked, answered):
    said = step(asked, answered, metric(name, None, error=answered or "none"))
    root = _read("Errored", (name, [said]), message=asked)
    assert len(list(root.iter("testcase"))) == 1
