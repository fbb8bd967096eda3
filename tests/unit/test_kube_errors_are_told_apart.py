"""Which leaf an answer is, in bodies as a 1.37 API server (and what stands before one) sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kube import errors
from kube.errors import KubeError, error_for

IMMUTABLE = {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}], "name": "x"}
REQUIRED = {"causes": [{"reason": "FieldValueRequired", "field": "spec.action"}], "name": "x"}
TYPED = "failed to create typed patch object (/x; v1, Kind=ConfigMap): .data.a: expected string"


def status_object(message: str = "", **fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "message": message, **fields}).encode()


@pytest.mark.parametrize(
    ("status", "body", "leaf"),
    [
        (404, status_object('configmaps "x" not found', details={"name": "x"}), errors.NotFoundError),
        (404, status_object("the server could not find the requested resource", details={}), errors.NotServedError),
        (404, b"404 page not found\n", errors.NotServedError),
        (404, b"<html>nothing here</html>", errors.UnavailableError),
        (409, status_object("already exists", reason="AlreadyExists"), errors.AlreadyExistsError),
        (409, status_object("the object has been modified", reason="Conflict"), errors.ConflictError),
        (422, status_object("field is immutable", details=IMMUTABLE), errors.ConflictError),
        (422, status_object("the server rejected our request", details={}), errors.ConflictError),
        (422, status_object("Required value", details=REQUIRED), errors.InvalidError),
        (400, status_object("strict decoding error", reason="BadRequest"), errors.InvalidError),
        (500, status_object(TYPED), errors.InvalidError),
        (413, b"", errors.InvalidError),
        (401, status_object("Unauthorized"), errors.ForbiddenError),
        (403, status_object("configmaps is forbidden"), errors.ForbiddenError),
        (410, status_object("too old resource version"), errors.ExpiredError),
        (429, status_object("too many requests"), errors.TooManyRequestsError),
        (500, status_object("etcdserver: leader changed", reason="InternalError"), errors.UnavailableError),
        (502, b"<html>Bad Gateway</html>", errors.UnavailableError),
        (503, b"", errors.UnavailableError),
        (504, status_object("Timeout: request did not complete", reason="Timeout"), errors.UnavailableError),
    ],
)
def test_each_status_and_reason_has_an_error_of_its_own(status: int, body: bytes, leaf: type[KubeError]) -> None:
    error = error_for("get ConfigMap default/x", status, body, None)
    assert type(error) is leaf
    assert error.status == status
    assert error.transient == (leaf in (errors.TooManyRequestsError, errors.UnavailableError))


def test_the_message_is_one_line_with_the_call_and_the_servers_words() -> None:
    error = error_for("apply ConfigMap testkube/x", 403, status_object("denied:\n  not\tyou"), None)
    assert str(error) == "apply ConfigMap testkube/x: denied: not you"


def test_a_page_of_html_is_cut_down_to_its_text() -> None:
    page = b"<html>\n<head><title>502 Bad Gateway</title></head>" + b"<p>lorem ipsum</p>\n" * 500 + b"</html>"
    message = str(error_for("list configmaps", 502, page, None))
    assert message.startswith("list configmaps: HTTP 502 502 Bad Gateway lorem ipsum")
    assert "<" not in message
    assert len(message) < 200


def test_a_message_that_quotes_a_whole_object_keeps_what_it_says_of_it() -> None:
    quoted = (
        '"" is invalid: patch: Invalid value: "' + "x" * 5000 + '": strict decoding error: unknown field "status.a"'
    )
    message = str(error_for("patch status of Experiment a/b", 422, status_object(quoted, details=REQUIRED), None))
    assert message.startswith('patch status of Experiment a/b: "" is invalid')
    assert message.endswith('strict decoding error: unknown field "status.a"')
    assert len(message) < 700


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("3", {}, 3.0),
        (None, {"retryAfterSeconds": 2}, 2.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", {}, None),
        (None, {}, None),
    ],
)
def test_when_to_come_back(header: str | None, details: dict[str, Any], seconds: float | None) -> None:
    assert error_for("get a", 429, status_object("slow down", details=details), header).retry_after == seconds
