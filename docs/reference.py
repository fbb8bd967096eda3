"""Writes the tables of the pages beside it that come from the code: fields, settings, the api's requests and errors.

python docs/reference.py          writes them
python docs/reference.py --check  tells, by exit code 1, whether they are as they should be (`make docs-check`)
"""  # noqa: INP001 - a script beside the pages that it writes

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import yaml

from api.app import create_app
from api.auth.kubernetes import Everybody
from api.config import ApiConfig
from api.http.problems import Refusal
from crds import experiment_crd
from experiment_operator.settings import All, Api, Watcher, Worker

_HERE = Path(__file__).parent
_LIMITS = {
    "minimum": "at least {:,}",
    "maximum": "at most {:,}",
    "minLength": "not empty",
    "maxLength": "at most {:,} characters",
    "minItems": "not empty",
    "maxItems": "at most {:,} items",
}
_AS_ABOVE = "dataset.inline.scenarios"  # whose fields are those of spec.scenarios


def fields() -> str:
    schema = yaml.safe_load(experiment_crd())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    parts = []
    for part in ("spec", "status"):
        top = schema[part]
        for name, field in top["properties"].items():
            rows = [_row(*each) for each in _walk(name, field, name in top.get("required", ()))]
            head = ["| field | type | what it is | rules |", "|---|---|---|---|"]
            parts += [f"### {part}.{name}", "", *head, *rows, ""]
    return "\n".join(parts).strip()


def _walk(path: str, field: dict[str, Any], required: bool) -> Iterator[tuple[str, dict[str, Any], bool]]:
    yield path, field, required
    if path == _AS_ABOVE:
        return
    inner, below = (field["items"], f"{path}[]") if field["type"] == "array" else (field, path)
    for name, each in inner.get("properties", {}).items():
        yield from _walk(f"{below}.{name}", each, name in inner.get("required", ()))


def _row(path: str, field: dict[str, Any], required: bool) -> str:
    rules = ["required"] if required else []
    if "default" in field:
        rules.append(f"default `{json.dumps(field['default'])}`")
    if "enum" in field:
        rules.append("one of " + ", ".join(f"`{value}`" for value in field["enum"]))
    rules += [words.format(field[limit]) for limit, words in _LIMITS.items() if limit in field]
    keys = field.get("x-kubernetes-list-map-keys")
    rules += [f"unique by `{key}`" for key in keys or ()]
    rules += [rule["message"] for rule in field.get("x-kubernetes-validations", ())]
    rules += [
        f"items: {words.format(field['items'][limit])}"
        for limit, words in _LIMITS.items()
        if limit in field.get("items", {})
    ]
    return _cells(f"`{path}`", _type(field), field.get("description", ""), "; ".join(rules))


def _type(field: dict[str, Any]) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    return (
        "any object" if field.get("x-kubernetes-preserve-unknown-fields") else str(field.get("format", field["type"]))
    )


def settings() -> str:
    rows = ["| variable | default | of | meaning |", "|---|---|---|---|"]
    for name, field in sorted(All.model_fields.items()):
        roles = [role.__name__.lower() for role in (Watcher, Worker, Api) if name in role.model_fields]
        default = "" if field.default_factory or field.default in (None, (), {}) else str(field.default)
        value = f"`{default.lower() if isinstance(field.default, bool) else default}`" if default else ""
        rows.append(
            _cells(f"`{name.upper()}`", value, "all" if len(roles) == 3 else ", ".join(roles), field.description or "")
        )
    return "\n".join(rows)


def requests() -> str:
    paths = create_app(Mock(), Mock(), Everybody(), ApiConfig()).openapi()["paths"]
    rows = [
        _cells(f"`{method.upper()} {path}`", operation["summary"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]
    return "\n".join(["| request | |", "|---|---|", *rows])


def errors() -> str:
    leaves = [kind for kind in _below(Refusal) if not kind.__subclasses__()]
    rows = [
        _cells(str(kind.status), f"`{kind.code}`", inspect.getdoc(kind) or "")
        for kind in sorted(leaves, key=lambda kind: (kind.status, kind.__name__))
    ]
    return "\n".join(["| status | `type` ends in | when |", "|---|---|---|", *rows])


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _cells(*texts: str) -> str:
    return "| " + " | ".join(" ".join(text.split()).replace("|", "\\|") for text in texts) + " |"


_TABLES = (
    ("experiment.md", "fields", fields),
    ("install.md", "settings", settings),
    ("rest.md", "requests", requests),
    ("rest.md", "errors", errors),
)


def main() -> int:
    stale = False
    for page, what, make in _TABLES:
        old = (_HERE / page).read_text(encoding="utf-8")
        begin = f"<!-- {what}: written by reference.py -->\n"
        new = re.sub(f"{begin}.*?<!-- end -->", lambda _: f"{begin}\n{make()}\n\n<!-- end -->", old, flags=re.DOTALL)  # noqa: B023
        if "--check" not in sys.argv:
            (_HERE / page).write_text(new, encoding="utf-8")
        elif new != old:
            print(f"docs/{page} is not as the code says: run python docs/reference.py", file=sys.stderr)
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
