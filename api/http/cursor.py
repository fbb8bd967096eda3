"""Where the next page of a list begins, as clients hand it back: opaque, and good for the list that gave it out."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TypeVar

from pydantic import TypeAdapter

from api.http.problems import InvalidRequest

T = TypeVar("T")

# Base64. In longer alphabets a cursor could be too long for the HTTP server, which refuses it without a problem.
CURSOR = "^[-0-9A-Z_a-z=]*$"


def encode(position: T, kind: TypeAdapter[T], listed: str) -> str:
    """Write `position`, from which the list that `listed` describes goes on."""
    text = json.dumps([_fingerprint(listed), kind.dump_python(position, mode="json")])
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode(cursor: str, kind: TypeAdapter[T], listed: str) -> T:
    """Read what `encode` wrote for the same list. Raises InvalidRequest."""
    try:
        fingerprint, position = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if fingerprint == _fingerprint(listed):
            return kind.validate_python(position)
    except (ValueError, TypeError, RecursionError):
        pass
    sentence = "query.cursor: is not one that a list with these filters and this order has given out."
    raise InvalidRequest(sentence, [sentence])


def _fingerprint(listed: str) -> str:
    return hashlib.sha256(listed.encode()).hexdigest()[:16]
