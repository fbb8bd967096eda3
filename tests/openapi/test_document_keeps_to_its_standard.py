"""Generators and validators can read the OpenAPI document: it is what the version that it names says."""

from __future__ import annotations

from typing import Any

from openapi_spec_validator import OpenAPIV32SpecValidator


def test_it_is_valid_by_the_meta_schema_of_its_version(document: Any) -> None:
    assert document["openapi"].startswith("3.2.")
    assert [str(error) for error in OpenAPIV32SpecValidator(document).iter_errors()] == []


def test_every_error_refers_to_the_one_schema_of_problems(document: Any, operations: Any) -> None:
    errors = [
        answer
        for each in operations
        for status, answer in each.content["responses"].items()
        if status >= "400" and answer["content"].keys() == {"application/problem+json"}
    ]
    assert {answer["content"]["application/problem+json"]["schema"]["$ref"] for answer in errors} == {
        "#/components/schemas/Problem"
    }
    assert "errors" in document["components"]["schemas"]["Problem"]["properties"]


def test_errors_name_the_headers_that_they_come_with(operations: Any) -> None:
    headers = {"401": {"WWW-Authenticate"}, "503": {"Retry-After"}}
    for each in operations:
        for status, answer in each.content["responses"].items():
            if status >= "400":
                assert answer.get("headers", {}).keys() == headers.get(status, set()), f"{each}: {status}"


def test_whatever_takes_a_body_says_that_it_may_be_too_large(operations: Any) -> None:
    takes_a_body = {str(each) for each in operations if "requestBody" in each.content}
    assert takes_a_body == {str(each) for each in operations if "413" in each.content["responses"]} != set()
