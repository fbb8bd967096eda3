"""The sample that is there to copy from has each field of the CRD, but for those that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from crds import experiment_crd
from support.clusters import SAMPLES

# Other samples have datasets, which exclude scenarios. An AiGateway's version and kind are taken and mean nothing.
_ELSEWHERE = {"dataset", "aiGatewayRef.apiVersion", "aiGatewayRef.kind"}


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Each that the schema has, by its path."""
    for name, field in schema.get("items", schema).get("properties", {}).items():
        if (below := f"{path}.{name}".removeprefix(".")) not in _ELSEWHERE:
            yield below
            yield from fields(field, below)


def written(part: Any, path: str = "") -> Iterator[str]:
    """Each that an object has, whichever item of a list it is in."""
    for item in part if isinstance(part, list) else [part]:
        for name, value in item.items() if isinstance(item, dict) else ():
            below = f"{path}.{name}".removeprefix(".")
            yield below
            yield from written(value, below)


def test_each_field_is_there() -> None:
    versions = yaml.safe_load(experiment_crd())["spec"]["versions"]
    schema = versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    sample = yaml.safe_load((SAMPLES / "experiment-everything.yaml").read_text())
    assert set(fields(schema)) - set(written(sample["spec"])) == set()
