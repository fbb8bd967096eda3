"""What Temporal sees of an error: whether it repeats the step, when, and under which name the workflow hears of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from experiments.errors import BY_REASON
from kube import errors as kube
from worker.failures import as_application_error, stale

SENTENCE = "apply ConfigMap testkube/weather: what the server said"
REFUSED = {kube.ForbiddenError: "Forbidden", kube.InvalidError: "Rejected", kube.NotServedError: "TestkubeMissing"}
CHANGED = [kube.AlreadyExistsError, kube.ConflictError, kube.ExpiredError, kube.NotFoundError]
TRANSIENT = [kube.TooManyRequestsError, kube.UnavailableError]


def seen_by_temporal(error):
    with pytest.raises(ApplicationError) as raised, as_application_error():
        raise error
    assert raised.value.message == str(error), "the sentence stays"
    assert raised.value.__cause__ is error
    return raised.value


def is_expected(error):
    """Handled by the workflow: not repeated as it is, and no noise in logs and metrics."""
    return error.non_retryable and error.category == ApplicationErrorCategory.BENIGN


@pytest.mark.parametrize("leaf", TRANSIENT)
def test_what_may_pass_is_repeated(leaf):
    error = seen_by_temporal(leaf(SENTENCE))
    assert (error.type, error.non_retryable, error.next_retry_delay) == ("ApiUnavailable", False, None)
    assert error.category == ApplicationErrorCategory.UNSPECIFIED, "worth a line in the log"


@pytest.mark.parametrize("leaf", TRANSIENT)
@pytest.mark.parametrize(
    ("retry_after", "delay"),
    [(7, 7), (0.5, 0.5), (3600, 30)],
    ids=["as asked", "soon", "hours are too long to be deaf"],
)
def test_it_is_repeated_when_the_server_asks_for_it(leaf, retry_after, delay):
    error = seen_by_temporal(leaf(SENTENCE, status=429, retry_after=retry_after))
    assert error.next_retry_delay == timedelta(seconds=delay)


@pytest.mark.parametrize("leaf", CHANGED)
def test_what_has_changed_is_read_again(leaf):
    error = seen_by_temporal(leaf(SENTENCE))
    assert error.type == "Stale"
    assert is_expected(error)


@pytest.mark.parametrize(("leaf", "reason"), REFUSED.items())
def test_what_is_refused_is_reported_by_its_reason(leaf, reason):
    error = seen_by_temporal(leaf(SENTENCE, status=403))
    assert error.type == reason
    assert is_expected(error)


def test_no_kind_of_error_is_forgotten():
    leaves = set(kube.KubeError.__subclasses__())
    assert leaves == {*TRANSIENT, *CHANGED, *REFUSED}
    assert {leaf for leaf in leaves if leaf.transient} == set(TRANSIENT)


@pytest.mark.parametrize(("reason", "problem"), BY_REASON.items())
def test_a_problem_keeps_its_name(reason, problem):
    error = seen_by_temporal(problem("There is no AiGateway."))
    assert error.type == reason
    assert is_expected(error)


def test_a_step_that_is_not_needed_any_more_is_no_failure():
    error = stale("create ConfigMap testkube/weather: not needed any more")
    assert error.type == "Stale"
    assert is_expected(error)


def test_an_error_without_a_meaning_passes_as_it_is():
    """Temporal repeats the step and shows it; the workflow reports it as a defect."""
    with pytest.raises(KeyError), as_application_error():
        raise KeyError("spec")
