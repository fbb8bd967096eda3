"""The OpenAPI document: what FastAPI makes of the routes, and over it `openapi.yaml` with examples and links.

What a route takes, and which errors it gives, stands at the route. An operation's id is the name of its function.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.utils import deep_dict_update
from pydantic.alias_generators import to_camel

from api.http.problems import PROBLEM, ProblemDetails

OPENAPI_VERSION = "3.2.0"
"""The first that describes a stream of events by one of them (`itemSchema`). What FastAPI writes for 3.1 is valid."""


class DescribedApi(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Make the document when it is first asked for; it is the same from then on."""
        if self.openapi_schema is None:
            _complete(super().openapi())
        return super().openapi()


def operation_id(route: APIRoute) -> str:
    """Name an operation after its function."""
    return to_camel(route.name)


def _complete(document: dict[str, Any]) -> None:
    more = yaml.safe_load(files("api.http").joinpath("openapi.yaml").read_text(encoding="utf-8"))
    document["components"]["schemas"][PROBLEM] = ProblemDetails.model_json_schema(mode="serialization")
    deep_dict_update(document["components"], more["components"])
    for operations in document["paths"].values():
        for operation in operations.values():
            deep_dict_update(operation, more["operations"].get(operation["operationId"], {}))
