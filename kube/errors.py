"""What can go wrong between this service and the Kubernetes API, as one tree.

KubeError
├── NotFoundError         the object, or the namespace it should go to, does not exist
├── NotServedError        the API server does not know the kind: its CRD is not installed
├── AlreadyExistsError    a create found the name taken
├── ConflictError         the object was changed or replaced since it was read: read again
├── ForbiddenError        the credentials do not allow it, or are not accepted at all
├── InvalidError          the API server refuses what was sent
├── ExpiredError          the version or page asked for is no longer kept: list again
├── TooManyRequestsError  transient, with the server's own idea of when to come back
└── UnavailableError      transient: 5xx, no connection, no answer in time, an answer that is no JSON

Whether repeating a call can help is a property of the type. What to do about an error is decided by those who catch it.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any, ClassVar


class KubeError(Exception):
    """A call that failed. The message names the verb, the object and what the server said, in one line.

    `status` is the HTTP status, None when there was no answer; `retry_after` the seconds that the server asked for.
    """

    transient: ClassVar[bool] = False
    """Whether the same call can succeed when it is simply repeated."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotFoundError(KubeError):
    """The object does not exist."""


class NotServedError(KubeError):
    """The kind does not exist."""


class AlreadyExistsError(KubeError):
    """The name is taken."""


class ConflictError(KubeError):
    """The object is no longer the one that was read."""


class ForbiddenError(KubeError):
    """401 and 403: only somebody who may grant permissions can help."""


class InvalidError(KubeError):
    """400, 422 and other refusals of the request itself."""


class ImmutableError(InvalidError):
    """… because what exists may not be changed in this way; another in its place may be made."""


class ExpiredError(KubeError):
    """410, and a watch that ended in a way that cannot be continued from."""


class TooManyRequestsError(KubeError):
    """429."""

    transient = True


class UnavailableError(KubeError):
    """The API server could not be reached or could not answer."""

    transient = True


_BY_STATUS: dict[int, type[KubeError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    409: ConflictError,
    410: ExpiredError,
    429: TooManyRequestsError,
}


def error_for(call: str, status: int, body: bytes, retry_after: str | None) -> KubeError:
    """Return the leaf for one HTTP answer; `call` is the verb and object, `retry_after` the header as it came."""
    answer = _status_object(body)
    leaf = _leaf(status, answer, body)
    if leaf is NotServedError:
        words = "the API server does not serve this kind (is its CRD installed?)"
    else:
        words = _words(answer) or f"HTTP {status} {_excerpt(body)}".rstrip()
    return leaf(f"{call}: {words}", status=status, retry_after=_seconds(retry_after, answer))


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _leaf(status: int, answer: dict[str, Any], body: bytes) -> type[KubeError]:
    if status == 404:
        return _leaf_of_404(answer, body)
    if answer.get("reason") == "AlreadyExists":
        return AlreadyExistsError
    if status == 422 and _is_conflict(answer):
        return ConflictError
    # Apply's answer to a field of a wrong type, or one that the schema does not know, is a 500 without a reason.
    if status == 422 and "immutable" in str(answer.get("message")):
        return ImmutableError
    if status < 500 or _words(answer).startswith("failed to create typed patch object"):
        return _BY_STATUS.get(status, InvalidError)
    return UnavailableError


def _leaf_of_404(answer: dict[str, Any], body: bytes) -> type[KubeError]:
    """Tell 404s apart: a 1.37 API server's for an object names it, a kind's names nothing, a group's is text."""
    if _details(answer).get("name"):
        return NotFoundError
    if answer or body.strip() == b"404 page not found":
        return NotServedError
    return UnavailableError  # some proxy's page: nothing that would prove that a kind is gone


def _is_conflict(answer: dict[str, Any]) -> bool:
    """Find the two 422s that say, on a 1.37 API server, that the object is not the one that was read.

    A patch with another uid has a cause of its own, "metadata.uid: field is immutable"; a JSON patch whose `test` does
    not hold has no details at all.
    """
    causes = _details(answer).get("causes") or []
    return not _details(answer) or any(cause.get("field") == "metadata.uid" for cause in causes)


def _details(answer: dict[str, Any]) -> dict[str, Any]:
    return answer.get("details") or {}


def _words(answer: dict[str, Any]) -> str:
    """Put the server's message in one line. It may quote whole objects: what counts then is how it begins and ends."""
    words = " ".join(str(answer.get("message") or "").split())
    return words if len(words) <= 1000 else f"{words[:300]} … {words[-300:]}"


def _excerpt(body: bytes) -> str:
    """Cut out the readable beginning of a body that is no Status, such as a proxy's HTML page."""
    text = re.sub(r"<[^>]*>", " ", body[:4096].decode(errors="replace"))
    return textwrap.shorten(text, 120, placeholder="…")


def _seconds(header: str | None, answer: dict[str, Any]) -> float | None:
    value = header or _details(answer).get("retryAfterSeconds")
    try:
        return float(value) if value else None
    except ValueError:
        return None  # an HTTP date: Kubernetes sends seconds
