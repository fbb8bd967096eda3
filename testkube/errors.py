"""What can go wrong in a call to Testkube, told apart by what can be done about it.

TestkubeError
├── Refused           Testkube does not do what was asked, and says why; repeating it does not help
│   └── NotFound      … because there is none
├── NotStopped        Testkube answers, and executions go on although they were aborted
└── Unavailable       transient: no connection, no answer in time, 5xx, an answer that is not Testkube's

Testkube answers 500 also to questions that make no sense, such as the start of a workflow that does not exist: these
are Unavailable, too.
"""

# ruff: noqa: N818  as in `kube.errors`, the leaves say what happened
from __future__ import annotations

import json
from typing import Any, ClassVar

_MAX_DETAIL_LENGTH = 1000
_GO_CONTEXT = ", context: null"  # ends every detail, and says nothing


class TestkubeError(Exception):
    """A call that failed, in one line. `status` is the HTTP status, None when there was no answer."""

    transient: ClassVar[bool] = False
    """Whether the same call can succeed when it is simply repeated."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(TestkubeError):
    """4xx with a problem that is Testkube's own."""


class NotFound(Refused):
    """404 with a problem that is Testkube's own."""


class NotStopped(TestkubeError):
    """Aborted executions are still listed as unfinished."""


class Unavailable(TestkubeError):
    """Testkube could not be reached or could not answer."""

    transient = True


def error_for(call: str, status: int, body: bytes) -> TestkubeError:
    """Return the leaf for an HTTP answer that is no success; `call` says in words what was asked."""
    problem = _problem(body)
    if not problem:
        # A proxy's page or a port of something else. It proves nothing about workflows and executions.
        return Unavailable(f"{call}: HTTP {status}, and the answer is not Testkube's", status=status)
    leaf: type[TestkubeError] = Unavailable
    if status == 404:
        leaf = NotFound
    elif 400 <= status < 500 and status != 429:
        leaf = Refused
    return leaf(f"{call}: {problem}", status=status)


def _problem(body: bytes) -> str:
    """Return the sentence of a problem (RFC 9457), in one line; empty when the body is none."""
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    detail = " ".join(str(answer.get("detail") or answer.get("title") or "").split())
    return detail.removesuffix(_GO_CONTEXT)[:_MAX_DETAIL_LENGTH]
