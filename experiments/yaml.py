"""Objects as text: YAML and JSON as kubectl reads them, and YAML that kubectl reads back unchanged.

A text is read in four steps: bytes to text, text to documents, each of them to JSON values (`composer`, or Python's own
parser for JSON), and lists of objects to their items. What it may come to is in `limits`. Nothing here knows what the
objects mean.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml
from yaml.cyaml import CSafeDumper

from experiments.composer import YamlError, compose
from experiments.limits import Budget, TooMuch, check_documents, check_json, check_size
from experiments.scalars import BOOL, NULL, integer, number_of_json

_INT = r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[1-9][0-9_]*|0)"
_FLOAT = (
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_OTHER_BREAKS = re.compile(r"[\x85\u2028\u2029]")
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_SEPARATOR = re.compile(r"^---(.*)$\n?", re.MULTILINE)
_NOTHING = re.compile(r"(?:\s++|#[^\n]*+)*+")
_BEGINS_LIKE_JSON = re.compile(r"\s*+\{")
_JSON_SPACE = re.compile(r"[ \t\r\n]*+")
_REST_OF_LINE = re.compile(r"[^\S\n]*+\n?")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Document:
    """`where` is the name of the text and the number of the document in it, for messages."""

    where: str
    content: Any


def read(content: bytes | bytearray, name: str, problems: list[str]) -> Iterator[Document]:
    """Yield the objects in there, those of a list one by one. What cannot be read becomes `problems`."""
    reader = _Reader(name, problems)
    try:
        check_size(content)
        documents = reader.documents(_text(content))
        objects = (each for document in documents for each in reader.flattened(document))
        for number, found in enumerate(objects, 1):
            check_documents(number)
            yield found
    except TooMuch as error:
        problems.append(f"{name} {error}")
    except UnicodeError as error:
        problems.append(f"{name}: {error}")


def write(objects: Iterable[dict[str, Any]]) -> str:
    """Write one document each. Texts of several lines stay readable."""
    return yaml.dump_all(objects, Dumper=_Dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=-1)


def _text(content: bytes | bytearray) -> str:
    """Decode UTF-8 or, after its mark, UTF-16. Raises UnicodeError where kubectl would put U+FFFD without a word."""
    if encoding := _UTF_16.get(bytes(content[:2])):
        return content[2:].decode(encoding, "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnicodeError(f"is not UTF-8: {error.reason} at byte {error.start}") from None


class _Reader:
    """Reads one text. Its methods raise TooMuch."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self._name, self._problems = name, problems
        self._budget, self._number = Budget(), 0

    def documents(self, text: str) -> Iterator[Document]:
        """Yield all but the empty ones. To kubectl, a text is JSON while it can be; after one object it may be YAML."""
        end = 0
        if _BEGINS_LIKE_JSON.match(text):
            check_json(text)
            for content, end in _json_stream(text):  # noqa: B007 - where the last one ends
                self._number += 1
                yield from self._document(content)
            if self._number > 1 and text[end:].strip():
                line = text.count("\n", 0, end) + 1
                self._problems.append(f"{self._where}: what follows it from line {line} on is no JSON")
                return
            end = _skip(_REST_OF_LINE, text, end)
        yield from self._yaml(text[end:].replace("\r\n", "\n"), text.count("\n", 0, end) + 1)

    def _yaml(self, text: str, line: int) -> Iterator[Document]:
        for piece, separator in _pieces(text if text.endswith("\n") else f"{text}\n"):
            # What only comes before the first separator, like a license, is no document.
            self._number += 0 if line == 1 and _NOTHING.fullmatch(piece) else 1
            check_documents(self._number)
            try:
                yield from self._document(compose(piece, self._budget, line))
            except YamlError as error:
                self._problems.append(f"{self._where}, {error}")
            line += piece.count("\n") + 1
            if separator.strip()[:1] not in {"", "#"}:
                self._problems.append(f"{self._where}, line {line - 1}: only a comment may follow the separator ---")
                return

    def flattened(self, document: Document) -> Iterator[Document]:
        """Yield the items of a list, which are of its kind where they do not say their own."""
        content = document.content
        kind = content.get("kind") if isinstance(content, dict) and "items" in content else None
        if not isinstance(kind, str) or not kind:
            yield document
            return
        items = [] if content["items"] is None else content["items"]
        if not isinstance(items, list):
            self._problems.append(f"{document.where}, items: must be a list")
            return
        check_documents(len(items))
        inherited = {"apiVersion": content.get("apiVersion"), "kind": kind.removesuffix("List")}
        for number, item in enumerate(items, 1):
            where = f"{document.where}, item {number}"
            if not isinstance(item, dict | None):
                self._problems.append(f"{where}: must be an object")
            elif item and isinstance(item.get("items"), list):
                self._problems.append(f"{where}: a list inside a list is not read")
            else:
                found = item or {}
                yield Document(where, found if found.get("kind") or found.get("apiVersion") else {**found, **inherited})

    def _document(self, content: Any) -> Iterator[Document]:
        if content is not None:
            yield Document(self._where, content)

    @property
    def _where(self) -> str:
        return f"{self._name}, document {self._number}"


def _json_stream(text: str) -> Iterator[tuple[Any, int]]:
    """Yield one value after the other, each with where it ends, up to what is no JSON."""
    end, has_surrogates = 0, _SURROGATE.search(text) is not None
    while (begin := _skip(_JSON_SPACE, text, end)) < len(text):
        try:
            content, end = _JSON.raw_decode(text, begin)
        except ValueError:
            return
        yield _without_surrogates(content) if has_surrogates else content, end


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield what stands between separators, with what follows the next `---` on its line."""
    start = 0
    for separator in _SEPARATOR.finditer(text):
        if separator.start() > start or separator[1].strip():
            yield text[start : separator.start()], separator[1]
            start = separator.end()
    if start < len(text):
        yield text[start:], ""


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _without_surrogates(value: Any) -> Any:
    """Put U+FFFD for each half of a character that lacks its other half."""
    if isinstance(value, str):
        return _LONE_SURROGATES.sub(lambda found: "\ufffd" * len(found[0]), value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value


def _integer(digits: str) -> int | float:
    try:
        return integer(digits)
    except ValueError as error:
        raise TooMuch(f"holds {error}") from None


def _float(digits: str) -> int | float:
    try:
        return number_of_json(digits)
    except ValueError as error:
        raise TooMuch(f"holds {error}") from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"JSON has no number {word}")


_JSON = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_no_number)


class _Dumper(CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _OTHER_BREAKS.search(text):
        style = '"'  # kubectl takes them for the end of a line, unless they are escaped
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


# On top of the dumper's own rules: it quotes a text that either reader would take for something else.
for _tag, _pattern, _first in (
    ("bool", BOOL, list("yYnNtTfFoO")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("null", NULL, ["~", "n", "N", ""]),
    ("merge", "<<", ["<"]),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
_Dumper.add_representer(str, _represent_text)
