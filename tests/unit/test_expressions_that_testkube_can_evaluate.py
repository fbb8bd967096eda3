"""`{{ … }}` in `spec.env` is Testkube's to evaluate. What it cannot evaluate is told when it is applied: it would abort
every execution, with the reason in Testkube's own log alone. What it can is a feature, and passes.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.admission import review
from experiments.errors import InvalidExpression, Terminal
from experiments.expressions import ExpressionError, check
from experiments.resources import TEST_WORKFLOW
from support.memory import MemoryWorld

PROPERTY = settings(deadline=None, derandomize=True, database=None, max_examples=500)

GOOD = [
    "",
    "no expression at all",
    "} }} {",
    "{ {",
    "{{ execution.id }}",
    "{{execution.id}}",
    "{{\n  execution . id\n}}",
    "{{ workflow.name }}-{{ execution.number }}",
    "{{ execution.tags.commit }}",
    "{{ workflow.labels.team }}",
    "{{ env.HOME }}",
    "{{ status }}",
    "{{ !failed }}",
    "{{ passed && !failed || always }}",
    "{{ execution.number > 3 ? 'late' : 'early' }}",
    "{{ (1 + 2) * -3 % 4 ** 2 }}",
    '{{ "a" + "b" }}',
    "{{ 'it\\'s' }}",
    '{{ {"a": {"b": [1, 2.5e3, null, true]}} }}',
    '{{ json("{}").a.b }}',
    "{{ join(list(1, 2), ',') }}",
    "{{ list(split(env.NAMES)...) }}",
    '{{ secret("judge", "key") }}',
    "{{ date() }}",
    "{{ }}",
    # A brace that is meant.
    '{{ "{{" }}',
    '{{ "{{ name }}" }}',
    'say {{ "{{" }} name }} and {{ "{{ name }}" }}',
    "{{ '}}' }}",
]
BAD = {
    "say {{ name }}": "speaks of name, which Testkube does not know in an execution",
    "{{ user.name }}": "speaks of user.name, which Testkube does not know in an execution",
    "{{ config.model }}": "speaks of config.model, which Testkube does not know in an execution",
    "{{ execution.nonsense }}": "speaks of execution.nonsense, which Testkube does not know in an execution",
    "{{ execution.id }} {{ name }}": "speaks of name, which Testkube does not know in an execution",
    "{{ lower(env.A) }}": "calls lower(), which Testkube does not have",
    "{{ execution.id() }}": "calls execution.id(), which Testkube does not have",
    "{{ execution.id": "has a '{{' without its '}}': '{{ execution.id'",
    "{{ 'open }}": "has no expression that Testkube can read at",
    '{{ "open }}': "has no expression that Testkube can read at",
    "{{ 1 2 }}": "has no expression that Testkube can read at '{{ 1 2 }}'",
    "{{ env.A env.B }}": "has no expression that Testkube can read at",
    "{{ 1 + }}": "has no expression that Testkube can read at",
    "{{ * 2 }}": "has no expression that Testkube can read at",
    "{{ (1 }}": "has no expression that Testkube can read at",
    "{{ 1) }}": "has no expression that Testkube can read at",
    "{{ .a }}": "has no expression that Testkube can read at",
    "{{ @ }}": "has no expression that Testkube can read at",
    "{{ größe }}": "speaks of gr, which Testkube does not know in an execution",
    "{{{ execution.id }}}": "has no expression that Testkube can read at",
    "{{ {'a': 1} }}": "has no expression that Testkube can read at",
}


@pytest.mark.parametrize("text", GOOD)
def test_what_testkube_can_evaluate_passes(text: str) -> None:
    check(text)


@pytest.mark.parametrize("text", BAD)
def test_what_testkube_cannot_evaluate_is_an_error_that_says_why(text: str) -> None:
    with pytest.raises(ExpressionError) as error:
        check(text)
    assert str(error.value).startswith(BAD[text])


def test_an_expression_that_testkube_cannot_evaluate_is_told_by_field(world: type[MemoryWorld]) -> None:
    made = world(env=[{"name": "A", "value": "{{ execution.id }}"}, {"name": "PROMPT", "value": "say {{ name }}"}])
    message = (
        "spec.env[1].value: speaks of name, which Testkube does not know in an execution; a {{ that is meant is "
        'written {{ "{{" }}.'
    )
    assert made.condition("Ready") == ("False", "InvalidExpression", message)
    assert made.condition("WorkflowReady") == ("False", "InvalidExpression", message)
    assert TEST_WORKFLOW not in {action.ref.resource for action in made.plan().actions}
    assert issubclass(InvalidExpression, Terminal)


def test_an_expression_that_testkube_cannot_evaluate_is_refused_when_it_is_applied(world: type[MemoryWorld]) -> None:
    made = world(env=[{"name": "PROMPT", "value": "say {{ name }}"}])
    (refused,) = review(made.snapshot(), neighbour_check="warn").problems
    assert str(refused) == made.condition("Ready")[2]
    assert refused.path == "spec.env[0].value"


def test_a_brace_that_is_escaped_reaches_testkube_as_it_is_written(world: type[MemoryWorld]) -> None:
    own = {"name": "PROMPT", "value": 'say {{ "{{" }} name }}'}
    made = world(env=[own])
    assert made.condition("Ready")[:2] == ("True", "Reconciled")
    assert own in made.manifest(TEST_WORKFLOW)["spec"]["container"]["env"]


# fmt: off
PIECES = st.sampled_from([
    "{{", "}}", "{", "}", "(", ")", "[", "]", "'", '"', "\\", " ", ".", "...", ",", "!", "-", "?", ":", "&&", "1",
    "1e9", "9" * 5000, "[" * 2000, "execution", "execution.id", "len", "env", "name", "null", "true", "*", "\n",
    "é", "\x00",
])
# fmt: on


@PROPERTY
@given(text=st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
def test_whatever_is_written_is_judged(text: str) -> None:
    """One kind of error, and an end: it is what stands between an Experiment and its status."""
    for whole in (text, f"{{{{{text}}}}}"):
        with suppress(ExpressionError):
            check(whole)


@PROPERTY
@given(before=st.text(max_size=5), after=st.text(max_size=5))
def test_text_around_an_expression_is_no_matter(before: str, after: str) -> None:
    """As long as it does not touch the braces."""
    if "{{" not in before + after:
        check(f"{before} {{{{ execution.id }}}} {after}")


@pytest.mark.parametrize(
    "piece", ["env + ", "(", "env.a", "{{ env }}", "'\\'", '"', "[", "!", " ", "1 ", "a.", "\\", "-"]
)
def test_the_longest_text_is_judged_as_well(piece: str) -> None:
    """Of the length that the CRD allows; something that took its square in time would not end before the timeout."""
    text = ("{{ " + piece * 32768)[:32768]
    with pytest.raises(ExpressionError):
        check(text)
