"""What an activity's failure means to the workflow: repeat the step, look again, or report it and wait.

Decided once, by the type of the error: transient ones are retryable, a changed cluster is `Stale`, everything else is
a `Problem` by its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from experiments.errors import ApiUnavailable, Forbidden, Problem, Rejected, TestkubeMissing
from kube import errors as kube
from worker.workflow import STALE

_PROBLEMS: dict[type[kube.KubeError], type[Problem]] = {
    kube.ForbiddenError: Forbidden,
    kube.InvalidError: Rejected,
    kube.NotServedError: TestkubeMissing,
}
# A proxy may ask for hours, in which no signal would be heard and the status would say nothing.
_MAX_RETRY_DELAY = 30


@contextmanager
def as_application_error() -> Iterator[None]:
    """Translate errors. Those without a meaning here pass unchanged: Temporal repeats the step and shows them."""
    try:
        yield
    except Problem as problem:
        raise _expected(str(problem), problem.reason) from problem
    except (kube.AlreadyExistsError, kube.ConflictError, kube.ExpiredError, kube.NotFoundError) as error:
        raise stale(str(error)) from error
    except kube.KubeError as error:
        if error.transient:
            delay = timedelta(seconds=min(error.retry_after, _MAX_RETRY_DELAY)) if error.retry_after else None
            raise ApplicationError(str(error), type=ApiUnavailable.__name__, next_retry_delay=delay) from error
        raise _expected(str(error), _PROBLEMS[type(error)].__name__) from error


def stale(message: str) -> ApplicationError:
    return _expected(message, STALE)


def _expected(message: str, reason: str) -> ApplicationError:
    """Make one that is not repeated as it is, and no noise in logs and metrics (BENIGN): the workflow deals with it."""
    return ApplicationError(message, type=reason, non_retryable=True, category=ApplicationErrorCategory.BENIGN)
