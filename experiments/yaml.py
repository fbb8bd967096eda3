"""YAML as kubectl reads it, and objects as YAML that kubectl reads back unchanged.

PyYAML follows YAML 1.1 to the letter, kubectl does not: to it, `12:30` and `2026-11-23` are texts, `1e3` is a number
and `y` is true. Nothing here knows what the documents mean.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

_SEPARATOR = re.compile(r"^---[ \t\r]*(?:#.*)?$", re.MULTILINE)
_BOOL = r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
_INT = r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[1-9][0-9_]*|0)"
_FLOAT = (
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_OTHER_BREAKS = re.compile(r"[\x85\u2028\u2029]")
# From here on, Go writes an integral float with an exponent.
_LARGE = 1e21


@dataclass(frozen=True, slots=True)
class Document:
    """`where` is the name of the text and the number of the document in it, for messages."""

    where: str
    content: Any


def read(content: bytes, name: str, problems: list[str]) -> Iterator[Document]:
    """Read the documents in there, but for empty ones. What cannot be read becomes `problems`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(f"{name}: is not UTF-8: {error.reason} at byte {error.start}")
        return
    parts, lines = _SEPARATOR.split(text), 0
    # What only comes before the first separator, like a license, is no document.
    first = 0 if all(line.strip()[:1] in {"", "#"} for line in parts[0].splitlines()) else 1
    for number, part in enumerate(parts, first):
        where = f"{name}, document {number}"
        try:
            # The empty lines in front make the line of an error that of the file.
            found = yaml.load("\n" * lines + part, _Loader)  # noqa: S506 - a safe loader
        except (yaml.YAMLError, ValueError) as error:
            problems.append(f"{where}, {_sentence(error)}")
        else:
            if found is not None:
                yield Document(where, found)
        lines += part.count("\n")


def write(objects: Iterable[dict[str, Any]]) -> str:
    """Write one document each. Texts of several lines stay readable."""
    return yaml.dump_all(
        objects, Dumper=_Dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=math.inf
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return f"YAML: {str(error).splitlines()[0]}"


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - declared by PyYAML
    bool_values: ClassVar[dict[str, bool]] = {**yaml.SafeLoader.bool_values, "y": True, "n": False}

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:  # type: ignore[override]
        # JSON in YAML may write a character as two surrogates.
        text: str = super().construct_scalar(node)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        value: float = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise yaml.constructor.ConstructorError(None, None, f"JSON has no number {node.value}", node.start_mark)
        return int(value) if value.is_integer() and abs(value) < _LARGE else value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in found.items()}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _OTHER_BREAKS.search(text):
        style = '"'  # kubectl takes them for the end of a line, unless they are escaped
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _resolve_like_kubectl(kind: type[_Loader | _Dumper]) -> None:
    """Add kubectl's rules, for the dumper to its own: it quotes what either reader would take for something else."""
    for tag, pattern, first in (
        ("bool", _BOOL, list("yYnNtTfFoO")),
        ("int", _INT, list("-+0123456789")),
        ("float", _FLOAT, list("-+.0123456789")),
        ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("merge", "<<", ["<"]),
    ):
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)


_resolve_like_kubectl(_Loader)
_resolve_like_kubectl(_Dumper)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.add_constructor("tag:yaml.org,2002:merge", _Loader.construct_scalar)  # where it is no key
_Dumper.add_representer(str, _represent_text)
